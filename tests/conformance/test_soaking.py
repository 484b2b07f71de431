"""Playing the same run again and again finds the run that is not the same, and says where."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

import specs
from adapter_api import Metrics, Token, TokenEvent
from conformance import soaking
from conformance.__main__ import main
from conformance.canary import SETS, Canaries
from conformance.catalogue import CHECKS
from conformance.check import MOST_SEEDS
from conformance.command_line import soak as command
from conformance.selection import select
from conformance.soaking import Soaked, soak
from conformance.subjects import SUBJECTS
from conformance.zoo.subject import ZooSubject
from conformance.zoo.wrapper import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conformance.subject import Subject

SPEC = specs.load()
ONE = select([(CHECKS["CAN-03"], "repeated/in-a-row")])


class SaysMoreEachThirdTime(Stream):
    """Gives numbers of its own before the first word of every third stream that this process sees."""

    streams = count(1)

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and self.tokens == 0 and next(self.streams) % 3 == 0:
            return (Metrics({}), event)
        return (event,)


def flaky() -> Subject:
    SaysMoreEachThirdTime.streams = count(1)
    return ZooSubject("flaky", SUBJECTS["mock"], SaysMoreEachThirdTime)


def test_runs_that_are_the_same_are_counted_and_timed() -> None:
    told: list[int] = []
    soaked = soak(SUBJECTS["mock"], ONE, SPEC, runs=3, heard=lambda so_far: told.append(len(so_far.times_s)))
    assert (soaked.differing, soaked.first_difference) == (0, None)
    assert len(soaked.times_s) == 3
    assert told == [1, 2, 3]


def test_a_case_that_goes_well_and_is_not_the_same_is_found_with_its_place() -> None:
    one = select([(CHECKS["FRM-08"], f"{CHECKS['FRM-08'].scenes[0].name}/only")])
    soaked = soak(flaky(), one, SPEC, runs=3)
    assert soaked.report is not None
    assert soaked.report.exit_code == 0
    assert soaked.differing == 1
    found = soaked.first_difference
    assert found is not None
    assert found.run == 3
    assert found.place.startswith("pace/only, seed 0, at #")
    assert "token" in found.first
    assert "metrics" in found.now


def test_a_report_that_is_not_the_same_is_a_difference_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:

    numbers = count()
    monkeypatch.setattr(soaking, "report_files", lambda _report, _spec: {"report.json": b"{\n%d\n}" % next(numbers)})
    found = soak(SUBJECTS["mock"], ONE, SPEC, runs=2).first_difference
    assert found is not None
    assert (found.place, found.first, found.now) == ("report.json", "0", "1")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(str(ended.value.code))


def test_the_command_says_how_long_and_that_all_was_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.command_line.soak.select_whole", lambda _checks: ONE)
    assert run("soak", "--adapter", "mock", "--runs", "2") == 0
    said = capsys.readouterr().out
    assert "2 runs of mock, profile core: 4 cases" in said
    assert "all of them the same, to the byte" in said


def test_the_command_fails_and_shows_the_first_difference(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    def differs(*_given: object, runs: int, heard: Callable[[Soaked], None], **_more: object) -> Soaked:
        return soak(flaky(), select([(CHECKS["FRM-08"], "pace/only")]), SPEC, runs=runs, heard=heard)

    monkeypatch.setattr(command, "soak", differs)
    assert run("soak", "--adapter", "mock", "--runs", "4") == 1
    said = capsys.readouterr().out
    assert "1 of 3 runs were not the first one again; the first is run 3, in pace/only, seed 0, at #" in said
    assert "at first" in said


def test_an_interrupted_soak_says_how_far_it_came(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_given: object, heard: Callable[[Soaked], None], **_more: object) -> Soaked:
        soak(SUBJECTS["mock"], ONE, SPEC, runs=2, heard=lambda so_far: heard(replace(so_far, runs=1000)))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "soak", breaks_off)
    assert run("soak", "--adapter", "mock", "--runs", "1000") == 130
    assert "interrupted after 2 of 1000 runs of mock, profile core: 4 cases" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [("--runs", "0"), ("--adapter", "none"), ("--profile", "none")])
def test_wrong_usage_is_said(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("soak", "--adapter", "mock", *wrong) == 2
    assert wrong[1] in capsys.readouterr().err


def test_more_schedules_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--adapter", "mock", "--only", "FRM-08:pace/only", "--seeds", "11", "--once") == 0
    assert "11 cases" in capsys.readouterr().out


def test_the_canaries_of_any_number_of_schedules_are_those_that_are_masked() -> None:
    assert SETS == MOST_SEEDS
    kept = {Canaries(seed)["api_key"] for seed in range(SETS)}
    assert len(kept) == SETS
    assert {Canaries(seed)["api_key"] for seed in range(100, 200)} == kept
