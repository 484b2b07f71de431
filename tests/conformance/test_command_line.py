"""The command as a person meets it: what it prints, its exit codes, and that no secret gets out of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import specs
from conformance.__main__ import main
from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.outcome import Exit
from conformance.selection import profiles_of
from conformance.subjects import SUBJECTS
from conformance.zoo.secret_faults import LogsItsKey
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_run_shows_what_it_does_and_ends_in_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--adapter", "mock", "--only", "CAN-06,FRM-10", "--verbose") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "conformance of adapter mock: 2 checks" in shown
    assert "an answer may have no token" in shown
    assert "mock conforms: 2 pass" in shown


def test_a_run_without_anything_to_run_gives_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--adapter", "mock", "--only", "FRM-12") == Exit.TOO_LITTLE_RAN
    assert "no verdict on mock" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "--adapter"),
        (["run", "--adapter", "mok"], "did you mean mock?"),
        (["run", "--adapter", "mock", "--only", "CAN-99"], "there is no check 'CAN-99'"),
        (["run", "--adapter", "mock", "--only", "CAN-01:every-instant/x"], "there is no case of CAN-01"),
        (["run", "--adapter", "mock", "--seed", "-1"], "no number from 0 up"),
        (["run", "--adapter", "mock", "--only", " ,"], "no check is named"),
        (["run", "--adapter", "mock", "--only", "CAN-99"], "conformance list shows them"),
        (["list", "--group", "cancle"], "did you mean cancel?"),
        (["list", "--group", "cancel", "--profile", "redaction"], "no check of the group cancel is in the profile red"),
        (["explain", "NOPE"], "there is no check 'NOPE'"),
        (["mutants", "looks-then-wait"], "did you mean looks-then-waits?"),
        (["dance"], "invalid choice"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_a_specification_that_cannot_be_read_is_the_kits_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise specs.SpecError("specs/x.md", 3, "no keyword")

    monkeypatch.setattr(specs, "load", fail)
    assert run("run", "--adapter", "mock") == Exit.KIT_ERROR
    assert "specs/x.md:3" in capsys.readouterr().err


def test_the_list_has_a_line_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert all(f"{check.id}  {check.level}" in shown for check in CHECKS.values())


def test_an_explanation_has_the_sentence_the_scenes_and_the_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "can-01") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "specs/adapter-api.md:" in shown
    assert "MUST NOT give a token" in shown
    assert "every-instant (42 cases)" in shown
    assert "looks-then-waits" in shown


def test_mutants_can_be_hunted_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mutants", "repeats-an-index", "talks-in-numbers") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "caught  FRM-03  repeats-an-index" in shown
    assert "passed          talks-in-numbers" in shown


def _failing(monkeypatch: pytest.MonkeyPatch, animal: type, *arguments: str) -> int:
    monkeypatch.setitem(SUBJECTS, "mock", ZooSubject("mock", SUBJECTS["mock"], animal))
    return run("run", "--adapter", "mock", *arguments)


@pytest.mark.req("ADAPT-3010a")
def test_a_failure_explains_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _failing(monkeypatch, RepeatsAnIndex, "--only", "FRM-03", "--seed", "4") == Exit.NOT_CONFORMING
    shown = capsys.readouterr().out
    statement = specs.load().requirement("ADAPT-3010a")
    assert "FAIL FRM-03 (MUST, frame order) token indices count from 0 without a gap" in shown
    assert f"ADAPT-3010a (MUST) {statement.document}:{statement.line}" in shown
    assert statement.statement[:60] in shown
    assert "the engine waits 0.125 s, accepts" in shown
    assert "expected  i=1" in shown
    assert "actual    i=0" in shown
    assert re.search(r"> #\d+ +t=0\.5 +task-1: token t=' two' i=0", shown)
    assert "python -m conformance run --adapter mock --only FRM-03:everyday/completes --seed 4" in shown


@pytest.mark.req("HTU-1004")
def test_a_leak_that_was_found_is_not_leaked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _failing(monkeypatch, LogsItsKey, "--only", "RED-01") == Exit.NOT_CONFORMING
    shown = capsys.readouterr().out
    assert "FAIL RED-01" in shown
    assert "[canary:api_key]" in shown
    assert mask_for(0)(shown) == shown


def _shell(command: str) -> subprocess.CompletedProcess[str]:
    program = command.replace("conformance", f"{sys.executable} -m conformance", 1)
    return subprocess.run(["bash", "-o", "pipefail", "-c", program], capture_output=True, text=True, check=False)


def test_it_is_a_program_of_its_own_and_minds_a_closed_pipe() -> None:
    done = _shell("conformance list | head -1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{len(CHECKS)} checks (")


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [("| head -1", 0, ""), (">&-", 0, ""), ("> /dev/full", 3, "cannot print: No space left")],
)
def test_a_run_is_judged_also_where_nobody_reads_it(output: str, code: int, words: str, tmp_path: Path) -> None:
    done = _shell(f"conformance run --adapter mock --only CAN-06 --once --report {tmp_path} {output}")
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "report.json").exists() is (code == 0)


def test_a_family_of_checks_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--adapter", "mock", "--only", "lea,CAN-06", "--level", "must", "--once", "--verbose") == 0
    shown = capsys.readouterr().out
    assert all(f"{each}-0" in shown for each in ("LEA", "CAN"))
    assert "FRM-0" not in shown


@pytest.mark.parametrize("filters", [["--group", "cancel"], ["--group", "CAN"], ["--group", "can", "--level", "must"]])
def test_the_list_can_be_narrowed(filters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", *filters) == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "CAN-01  MUST    " in shown
    assert "LIF-01" not in shown
    assert "\ncancel: " in shown


def test_the_list_has_a_form_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--format", "json", "--profile", "redaction") == Exit.CONFORMING
    told = json.loads(capsys.readouterr().out)
    assert {check["id"] for check in told} == {each.id for each in CHECKS.values() if each.group == "redaction"}
    assert told[0]["profiles"] == ["redaction", "full"]
    assert told[0]["requirements"]


def test_every_group_is_in_a_profile_beside_the_full_one() -> None:
    assert all(len(profiles_of(check)) > 1 for check in CHECKS.values())
