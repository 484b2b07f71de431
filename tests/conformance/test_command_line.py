"""The command as a person meets it: what it prints, its exit codes, and that no secret gets out of it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import specs
from conformance.__main__ import main
from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.outcome import Exit
from conformance.subjects import SUBJECTS
from conformance.zoo.report_faults import LogsItsKey
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject


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


def test_it_is_a_program_of_its_own_and_minds_a_closed_pipe() -> None:
    command = f"{sys.executable} -m conformance list | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "life cycle\n", "")
