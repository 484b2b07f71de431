"""What is written and said of a run against a service: every file, known failures, profiles, and no token anywhere."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING

import pytest
import trio
from jsonschema import Draft202012Validator

from conformance.canary import forms_of
from conformance.outcome import Exit, Outcome
from conformance.reporting import FILES, read_record, report_files
from conformance.service.arguments import INTERRUPTED
from conformance.service.broken.telling import QuotesTheToken
from conformance.service.catalogue import PROFILES, SERVICE_CHECKS
from conformance.service.check import Group
from conformance.service.masking import mask_for
from conformance.service.report import failure_text, under_test
from conformance.service.target import Target
from conformance.service.zoo import Service
from conformance.service.zoo_wire import Answer, Asked
from tests.conformance.reporting.test_record import SCHEMA

from .test_command import TOKEN, listening, run
from .test_zoo import SPEC, visited

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conformance.service.runner import ServiceReport
    from conformance.service.zoo_wire import Task


class TellsTheTokenLate(Service):
    """Errors end with the token that was given, far enough behind for a cut to fall into it."""

    def error(
        self, code: str, message: str, status: int = 0, headers: tuple[tuple[str, str], ...] = (), **more: object
    ) -> Answer:
        return super().error(code, f"{'x' * 300}{message} {self.secret * 3}", status, headers, **more)


class Stalls(Service):
    """Its engine says nothing."""

    async def decode(self, task: Task) -> None:
        await trio.sleep_forever()


class DiesAtAStream(Service):
    """It stops to answer when a stream is asked for."""

    is_gone = False

    def answer(self, asked: Asked) -> Answer:
        self.is_gone = self.is_gone or asked.path.endswith("/stream")
        if self.is_gone:
            raise trio.ClosedResourceError
        return super().answer(asked)


def files_of(report: ServiceReport) -> dict[str, str]:
    about = under_test(report.target)
    made = report_files(report.suite, SPEC, report.target.secrets, about)
    return {name: text.decode() for name, text in made.items()}


async def test_a_run_makes_every_file_and_they_say_that_it_was_a_service(autojump_clock: object) -> None:
    files = files_of(await visited(Stalls, SERVICE_CHECKS.values()))
    assert set(files) == set(FILES)
    record = read_record(files["report.json"])
    Draft202012Validator(SCHEMA).validate(json.loads(files["report.json"]))
    assert (record.kind, record.subject, record.is_whole, record.is_black_box) == ("service", "the zoo", True, True)
    assert record.groups.keys() == set(Group)
    assert json.loads(files["badge.json"])["label"] == "service conformance"
    for name in ("report.html", "SUMMARY.md"):
        assert "a running service in real time" in files[name]
        assert "not of the adapter" not in files[name]


async def test_a_broken_rule_is_told_with_the_play_it_was_seen_in(autojump_clock: object) -> None:
    report = await visited(Stalls, [SERVICE_CHECKS["S-HTTP-05"], SERVICE_CHECKS["S-STR-05"]])
    [routes, ended] = report.checks
    assert (ended.outcome, routes.outcome) == (Outcome.FAIL, Outcome.NOT_TESTABLE)
    assert "an ordinary task does not come to its end" in routes.reason
    text = failure_text(ended, SPEC, report.target)
    assert "given     the play of S-STR-05" in text
    assert "> #" in text
    assert "also in   play/S-HTTP-05" in text
    assert text.endswith("reproduce conformance service --url the zoo --only S-STR-05")
    record = read_record(files_of(report)["report.json"])
    assert record.checks[1].cases[1].reproduce.endswith("--only S-HTTP-05,S-STR-05")


@pytest.mark.req("HTU-1004", "HTU-1004a", "HTU-1004f")
@pytest.mark.parametrize("kind", [QuotesTheToken, TellsTheTokenLate])
async def test_the_token_is_in_no_file_and_no_text_also_where_it_is_cut(
    autojump_clock: object, kind: type[Service]
) -> None:
    report = await visited(kind, [check for check in SERVICE_CHECKS.values() if check.group in PROFILES["auth"]])
    texts = [*files_of(report).values(), *(failure_text(each, SPEC, report.target) for each in report.checks)]
    assert ("[token]" if kind is TellsTheTokenLate else "[canary:api_key]") in "".join(texts)
    pieces = [TOKEN[start : start + 8] for start in range(len(TOKEN) - 7)]
    for text in texts:
        assert not [piece for piece in pieces if piece in text]
        assert not [name for name, form in forms_of(TOKEN) if form in text and name != "in part"]


@pytest.mark.req("HTU-1004f")
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"no {TOKEN}!", "no [token]!"),
        (f"Bearer {TOKEN[:-1]}..., that", "Bearer [token]..., that"),
        (f"{TOKEN[4:14]} and x{TOKEN.swapcase()}x", "[token] and x[token]x"),
        (TOKEN[:7], TOKEN[:7]),
        ("nothing", "nothing"),
        (f"{TOKEN}{TOKEN[2:12]}|{TOKEN[9:]}", "[token][token]|[token]"),
    ],
)
def test_pieces_of_the_token_are_masked_too(said: str, told: str) -> None:
    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError

    assert mask_for(Target(dial=dial, authority="a", name="n", token=TOKEN))(said) == told


async def test_a_service_that_goes_away_is_not_asked_any_more(autojump_clock: object) -> None:
    report = await visited(DiesAtAStream, SERVICE_CHECKS.values())
    gone = [each for each in report.checks if each.reason.startswith("the service has not answered any more since")]
    assert len(gone) > 30
    assert {each.outcome for each in gone} == {Outcome.NOT_TESTABLE}
    assert report.exit_code is Exit.NOT_CONFORMING


class WebPage(Service):
    """Not a service of this contract at all."""

    def correlation(self, asked: Asked) -> str:
        return ""

    def answer(self, asked: Asked) -> Answer:
        return Answer(200, b"<h1>It works!</h1>", (("Content-Type", "text/html"),))


@pytest.mark.parametrize(
    ("kind", "token", "words"),
    [
        (WebPage, TOKEN, "what answers there is another thing: GET /v1/capabilities gives 200, text/html"),
        (Service, "another-token", "the token that was given is not the right one (401 BAD_TOKEN)"),
        (Service, "", "it needs a token: --token-env (401 MISSING_TOKEN)"),
    ],
)
def test_what_cannot_be_checked_at_all_is_no_verdict_and_says_why(
    kind: type[Service],
    token: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", token)
    given = ["--token-env", "ZOO_TOKEN"] if token else []
    with listening(kind) as url:
        assert run("--url", url, *given, "--report", str(tmp_path)) == Exit.TOO_LITTLE_RAN
    assert words in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def baseline(folder: Path, check: str, service: str = "*", until: str = "2999-01-01") -> str:
    path = folder / "known.toml"
    entry = f'[[expected]]\nservice = "{service}"\ncheck = "{check}"\nreason = "the proxy"\nuntil = {until}\n'
    path.write_text(entry, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("only", "check", "service", "code", "words"),
    [
        ("S-RED-01", "S-RED-01", "*", Exit.CONFORMING, "S-RED-01  expected failure: the proxy (until 2999-01-01)"),
        ("S-RED-01", "S-RED-01", "http://other:1", Exit.NOT_CONFORMING, "1 FAIL"),
        ("S-HTTP-01", "S-HTTP-01", "*", Exit.NOT_CONFORMING, "it came out as pass; take the entry out of"),
        ("S-HTTP-01", "S-NOT-01", "*", Exit.USAGE, "there is no check 'S-NOT-01'"),
    ],
)
def test_known_failures_of_a_service(
    only: str,
    check: str,
    service: str,
    code: Exit,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    known = baseline(tmp_path, check, service)
    with listening(QuotesTheToken) as url:
        assert run("--url", url, "--token-env", "ZOO_TOKEN", "--only", only, "--baseline", known) == code
    shown = capsys.readouterr()
    assert words in shown.out + shown.err


def test_a_report_is_written_and_has_no_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    with listening(QuotesTheToken) as url:
        given = ("--url", url, "--token-env", "ZOO_TOKEN", "--report", str(tmp_path / "report"))
        assert run(*given, "--profile", "auth", "--level", "must") == Exit.NOT_CONFORMING
    files = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "report").iterdir()}
    assert set(files) == set(FILES)
    assert not [name for name, text in files.items() if TOKEN in text]
    record = read_record(files["report.json"])
    assert not record.is_whole
    only = "S-AUT-01,S-AUT-02,S-AUT-03,S-RED-01"
    assert record.reproduce == f"conformance service --url {url} --token-env ZOO_TOKEN --only {only} --report DIR"


def test_a_profile_chooses_groups_and_nothing_at_all_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert {group for profile in PROFILES if profile != "full" for group in PROFILES[profile]} == set(Group)
    assert PROFILES["full"] == set(Group)
    assert run("--url", "http://127.0.0.1:9", "--profile", "cancel", "--only", "S-HTTP-01") == Exit.USAGE
    assert "nothing of --only is in the profile cancel at level should" in capsys.readouterr().err


def test_an_interrupt_ends_the_run_and_takes_its_tasks_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left: dict[str, Task] = {}

    class Interrupts(Service):
        """It has room for one task, and whoever waits for more is interrupted."""

        def begin(self, task: Task, place: Mapping[str, object]) -> None:
            super().begin(task, place)
            left.update(self.tasks)
            threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()

        def place(self, body: dict[str, object]) -> Answer | None:
            return self.no_room(1500) if left else super().place(body)

    with listening(Interrupts, secret="") as url:
        assert run("--url", url, "--only", "S-QUE-01", "--max-tokens", "4000") == INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
    assert [task.is_canceled for task in left.values()] == [True]


def test_every_option_about_the_service_is_said_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ZOO_TOKEN", TOKEN)
    options = "--token-env ZOO_TOKEN --engine mock --model default --max-tokens 99 --patience 3 --runs-on"
    with listening(QuotesTheToken) as url:
        assert run("--url", url, *options.split(), "--only", "s-red-01") == Exit.NOT_CONFORMING
    assert f"reproduce conformance service --url {url} {options} --only S-RED-01" in capsys.readouterr().out


class SaysLittleAtFirst(Service):
    """Its first two answers are short, whatever they are asked for."""

    async def decode(self, task: Task) -> None:
        if len(self.tasks) <= 2:
            task.body["max_tokens"] = 1
        await super().decode(task)


async def test_an_answer_that_happens_to_be_short_is_asked_for_again(autojump_clock: object) -> None:
    report = await visited(SaysLittleAtFirst, [SERVICE_CHECKS["S-CAN-04"], SERVICE_CHECKS["S-STR-14"]])
    assert [each.outcome for each in report.checks] == [Outcome.PASS, Outcome.PASS], report.checks
