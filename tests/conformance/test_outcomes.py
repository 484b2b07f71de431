"""How checks come out beyond pass and fail: not the same twice, known to fail, no longer known to fail."""

from __future__ import annotations

import random
from datetime import date
from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance.__main__ import main
from conformance.baseline import BadBaseline, read_baseline, with_baseline
from conformance.catalogue import CHECKS
from conformance.check import Case, Check, Group, Level, Scene
from conformance.failure import failure_text
from conformance.outcome import Exit, Outcome, SuiteReport
from conformance.runner import run_checks
from conformance.selection import PROFILES, in_profile, select_whole
from conformance.subjects import SUBJECTS
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from conformance.lab import Lab

    Play = Callable[[Lab], Awaitable[None]]

SPEC = specs.load()
BROKEN = ZooSubject("broken", SUBJECTS["mock"], RepeatsAnIndex)
BINDING = len(in_profile(CHECKS.values(), "determinism", binding_only=True))
BEFORE, AFTER = date(2026, 1, 1), date(2028, 1, 1)


def run(play: Play, *, twice: bool = True, seeds: int = 1) -> SuiteReport:
    scene = Scene(name="scene", how="", cases=lambda _subject, _spec: (Case("case", play, seeds),))
    check = Check(id="TST-01", title="t", group=Group.LIFE, requirements=("ADAPT-3010",), scenes=(scene,))
    return run_checks(SUBJECTS["mock"], select_whole([check]), SPEC, twice=twice)


async def draws_at_random(lab: Lab) -> None:
    await trio.sleep(1)
    lab.transcript.note("adapter", "always")
    lab.transcript.note("adapter", f"drew {random.random()}")


async def fails_now_and_then(lab: Lab) -> None:
    await trio.sleep(1)
    lab.expect("TST-01", next(_turns) != 1, "good", "bad")


_turns = iter(range(10))


async def tells_addresses_and_fingerprints(lab: Lab) -> None:
    await trio.sleep(1)
    lab.transcript.note("adapter", f"{object()!r} at [redacted:value:{random.getrandbits(24):06x}]")


def test_a_case_that_is_another_when_it_is_played_again_is_a_failure_that_shows_the_difference() -> None:
    report = run(draws_at_random)
    (check,) = report.checks
    assert (check.outcome, report.exit_code) == (Outcome.NONDETERMINISTIC, Exit.NOT_CONFORMING)
    text = failure_text(check, SPEC, "mock")
    assert text.startswith("NONDETERMINISTIC TST-01")
    assert "actual    at #1, at first: t=0 adapter: drew 0." in text
    assert "played again: t=0 adapter: drew 0." in text
    assert "> #1" in text


def test_a_finding_of_the_second_play_alone_is_a_failure_too() -> None:
    report = run(fails_now_and_then)
    assert [each.outcome for each in report.checks] == [Outcome.FAIL]


def test_what_has_to_vary_is_no_difference() -> None:
    assert run(tells_addresses_and_fingerprints).exit_code is Exit.CONFORMING


def test_a_case_can_be_played_once_only() -> None:
    assert run(draws_at_random, twice=False).exit_code is Exit.CONFORMING


def baseline(folder: Path, text: str) -> Path:
    path = folder / "known.toml"
    path.write_text(text, encoding="utf-8")
    return path


def entry(check: str = "FRM-03", adapter: str = "broken", reason: str = "the engine counts so", until: str = "") -> str:
    date_line = f"until = {until}\n" if until else ""
    return f'[[expected]]\nadapter = "{adapter}"\ncheck = "{check}"\nreason = "{reason}"\n{date_line}'


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        (entry(until="2027-01-01"), Outcome.EXPECTED_FAILURE, "the engine counts so (until 2027-01-01)"),
        (entry(until="2025-12-31"), Outcome.STALE_BASELINE, "good until 2025-12-31"),
        (entry(adapter="another", until="2027-01-01"), Outcome.FAIL, ""),
    ],
)
def test_a_failure_that_is_known_counts_until_its_date(text: str, outcome: Outcome, words: str, tmp_path: Path) -> None:
    report = run_checks(BROKEN, select_whole([CHECKS["FRM-03"]]), SPEC, stop_early=True)
    judged = with_baseline(report, read_baseline(baseline(tmp_path, text)), BEFORE)
    (check,) = judged.checks
    assert check.outcome is outcome
    assert words in check.reason
    assert (judged.exit_code is Exit.CONFORMING) is (outcome is Outcome.EXPECTED_FAILURE)


def test_an_entry_for_what_passes_is_stale_and_says_where_it_stands(tmp_path: Path) -> None:
    report = run_checks(SUBJECTS["mock"], select_whole([CHECKS["FRM-10"]]), SPEC)
    text = "\n" + entry("FRM-10", "mock", until="2029-01-01")
    judged = with_baseline(report, read_baseline(baseline(tmp_path, text)), AFTER)
    (check,) = judged.checks
    assert check.outcome is Outcome.STALE_BASELINE
    assert "known.toml:2" in check.reason
    assert judged.exit_code is Exit.NOT_CONFORMING


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry("FRM-99", until="2027-01-01"), "there is no check 'FRM-99'"),
        (entry(reason=" ", until="2027-01-01"), "known.toml:1: the entry for FRM-03 gives no reason"),
        (entry(), "known.toml:1: the entry for FRM-03 has no date"),
        ("[[expected]]\nadaptor = 'mine'", "known.toml"),
        ("[[", "known.toml"),
    ],
)
def test_a_baseline_that_is_not_whole_is_wrong_usage(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = baseline(tmp_path, text)
    with pytest.raises(BadBaseline) as caught:
        read_baseline(path)
    assert words in str(caught.value)
    with pytest.raises(SystemExit) as left:
        main(["run", "--adapter", "mock", "--baseline", str(path)])
    assert left.value.code == Exit.USAGE
    assert words in capsys.readouterr().err


def test_the_command_counts_a_known_failure_and_shows_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SUBJECTS, "mock", ZooSubject("mock", SUBJECTS["mock"], RepeatsAnIndex))
    path = baseline(tmp_path, entry(adapter="mock", until="2999-01-01"))
    arguments = ["run", "--adapter", "mock", "--only", "FRM-03,FRM-10", "--baseline", str(path)]
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr().out
    assert left.value.code == Exit.CONFORMING, shown
    assert "FRM-03  expected failure: the engine counts so (until 2999-01-01)" in shown


def test_profiles_have_their_groups_and_full_has_all() -> None:
    checks = list(CHECKS.values())
    assert in_profile(checks, "full") == checks
    assert {each.group for each in in_profile(checks, "redaction")} == {Group.REDACTION}
    assert all(in_profile(checks, profile) for profile in PROFILES)
    binding = in_profile(checks, "full", binding_only=True)
    assert {each.level for each in binding} == {Level.MUST}
    assert len(binding) < len(checks)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--profile", "determinism", "--only", "DET-01"], Exit.CONFORMING, "1 check for"),
        (["--profile", "determinism", "--level", "must", "--once"], Exit.CONFORMING, f"{BINDING} checks for"),
        (["--profile", "cancel", "--only", "DET-01"], Exit.USAGE, "nothing of --only is in the profile cancel"),
        (["--level", "must", "--only", "FRM-08"], Exit.USAGE, "at level must"),
        (["--profile", "all"], Exit.USAGE, "invalid choice"),
    ],
)
def test_a_profile_and_a_level_choose(
    arguments: list[str], code: Exit, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", "--adapter", "mock", *arguments])
    shown = "".join(capsys.readouterr())
    assert (left.value.code, words in shown) == (code, True), shown
