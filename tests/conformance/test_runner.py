"""How cases are played and judged: hangs, faults of the kit, excuses, rules that break under another check's scene."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance import runner
from conformance.catalogue import CHECKS
from conformance.check import Case, Check, Group, Level, Scene
from conformance.findings import NotApplicable, NotTestable, Stop
from conformance.outcome import Exit, Outcome, SuiteReport
from conformance.runner import Manner, play_case, run_checks
from conformance.selection import select, select_whole
from conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter_api import TaskRequest
    from conformance.lab import Lab

    Play = Callable[[Lab], Awaitable[None]]

SPEC = specs.load()
MOCK = SUBJECTS["mock"]


def check(*plays: Play, level: Level = Level.MUST, seeds: int = 1) -> Check:
    cases = tuple(Case(f"case-{number}", play, seeds) for number, play in enumerate(plays))
    scene = Scene(name="scene", how="", cases=lambda _subject, _spec: cases)
    return Check(id="TST-01", title="t", group=Group.LIFE, level=level, requirements=("ADAPT-3010",), scenes=(scene,))


def run(*plays: Play, level: Level = Level.MUST, seeds: int = 1) -> SuiteReport:
    return run_checks(MOCK, select_whole([check(*plays, level=level, seeds=seeds)]), SPEC)


def play(body: Callable[[Lab], None]) -> Play:
    """Make a play of what needs no time."""

    async def played(lab: Lab) -> None:
        await trio.lowlevel.checkpoint()
        body(lab)

    return played


async def passes(lab: Lab) -> None:
    await trio.sleep(1)


@play
def finds(lab: Lab) -> None:
    lab.expect("TST-01", False, "good", "bad")
    lab.require("TST-01", False, "better", "worse")
    raise AssertionError("a required rule ends the case")


@play
def is_excused(lab: Lab) -> None:
    raise NotApplicable("no such thing here")


@play
def cannot_look(lab: Lab) -> None:
    raise NotTestable("no way to see it")


@play
def breaks(lab: Lab) -> None:
    raise LookupError("the kit's own")


async def hangs(lab: Lab) -> None:
    await trio.sleep_forever()


async def stops_in_a_nursery(lab: Lab) -> None:
    async def stop() -> None:
        await trio.lowlevel.checkpoint()
        lab.expect("TST-01", False, "good", "bad")
        raise Stop

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize(
    ("plays", "outcome", "code"),
    [
        ((passes,), Outcome.PASS, Exit.CONFORMING),
        ((passes, finds), Outcome.FAIL, Exit.NOT_CONFORMING),
        ((stops_in_a_nursery,), Outcome.FAIL, Exit.NOT_CONFORMING),
        ((is_excused,), Outcome.NOT_APPLICABLE, Exit.TOO_LITTLE_RAN),
        ((passes, is_excused), Outcome.PASS, Exit.CONFORMING),
        ((cannot_look,), Outcome.NOT_TESTABLE, Exit.NOT_CONFORMING),
        ((passes, breaks), Outcome.KIT_ERROR, Exit.KIT_ERROR),
        ((), Outcome.NOT_APPLICABLE, Exit.TOO_LITTLE_RAN),
    ],
)
def test_how_a_case_ends_decides_how_the_check_and_the_run_come_out(
    plays: tuple[Play, ...], outcome: Outcome, code: Exit
) -> None:
    report = run(*plays)
    assert [each.outcome for each in report.checks] == [outcome]
    assert report.exit_code is code


def test_a_should_that_fails_is_a_warning() -> None:
    report = run(finds, level=Level.SHOULD)
    assert [each.outcome for each in report.checks] == [Outcome.WARN]
    assert report.exit_code is Exit.CONFORMING


def test_a_fault_of_the_kit_says_where() -> None:
    (broken,) = run(breaks).kit_errors
    assert "LookupError: the kit's own" in (broken.kit_error or "")


def test_a_case_that_waits_for_nothing_is_a_finding_with_the_place() -> None:
    report = play_case(MOCK, check(hangs).scenes[0], Case("c", hangs), SPEC, 0)
    assert [finding.check_id for finding in report.findings] == [runner.HANGS]
    assert "hangs:" in report.findings[0].actual


def test_a_case_that_blocks_its_thread_is_a_finding_with_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CASE_WALL_S", 1.0)

    @play
    def blocks(lab: Lab) -> None:
        while True:
            pass

    report = play_case(MOCK, check(blocks).scenes[0], Case("c", blocks), SPEC, 0)
    assert [finding.check_id for finding in report.findings] == [runner.HANGS]
    assert "in blocks" in report.findings[0].actual


def test_a_case_that_blocks_names_the_line_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CASE_WALL_S", 1.0)
    lock = threading.Lock()

    @play
    def blocks(lab: Lab) -> None:
        with lock:
            while not lock.acquire(timeout=0.01):
                pass

    report = play_case(MOCK, check(blocks).scenes[0], Case("c", blocks), SPEC, 0)
    assert "test_runner.py:" in report.findings[0].actual
    assert "in blocks: while not lock.acquire(timeout=0.01):" in report.findings[0].actual


def test_a_real_clock_is_a_finding_of_any_case_and_the_case_goes_on() -> None:
    @play
    def reads(lab: Lab) -> None:
        time.perf_counter()
        lab.expect("TST-01", False, "good", "bad")

    report = play_case(MOCK, check(reads).scenes[0], Case("c", reads), SPEC, 0, Manner(is_twice=True))
    assert [finding.check_id for finding in report.findings] == ["TST-01", "TMO-09"]
    assert "in reads: time.perf_counter()" in report.findings[1].actual


def test_a_thread_ends_the_case_with_a_finding_and_is_no_fault_of_the_kit() -> None:
    async def works(lab: Lab) -> None:
        async with lab.open() as bench:
            bench.start()
            await trio.to_thread.run_sync(sum, [])
            raise AssertionError("it was stopped")

    report = play_case(MOCK, check(works).scenes[0], Case("c", works), SPEC, 0, Manner(is_twice=True))
    assert [finding.check_id for finding in report.findings] == ["TMO-09"]
    assert report.kit_error is None


def test_an_adapter_that_swallows_the_stop_is_told_of_all_the_same() -> None:
    async def works(lab: Lab) -> None:
        with contextlib.suppress(BaseException):
            await trio.to_thread.run_sync(sum, [])
        raise LookupError("what came of it")

    report = play_case(MOCK, check(works).scenes[0], Case("c", works), SPEC, 0)
    assert [finding.check_id for finding in report.findings] == ["TMO-09"]
    assert report.kit_error is None


def test_a_file_that_is_left_open_is_a_finding() -> None:
    left: list[int] = []

    @play
    def leaves(lab: Lab) -> None:
        left.append(os.open(os.devnull, os.O_RDONLY))

    report = play_case(MOCK, check(leaves).scenes[0], Case("c", leaves), SPEC, 0, Manner(is_twice=True))
    for number in left:
        os.close(number)
    assert [finding.check_id for finding in report.findings] == ["LEA-06"]
    assert "an open file: /dev/null" in report.findings[0].actual


def test_in_real_time_clocks_and_threads_are_free_and_what_is_left_counts() -> None:
    release = threading.Event()

    async def works(lab: Lab) -> None:
        time.perf_counter()
        await trio.to_thread.run_sync(sum, [])
        threading.Thread(target=release.wait, name="forgotten", daemon=True).start()

    report = play_case(MOCK, check(works).scenes[0], Case("c", works), SPEC, 0, Manner(is_real=True))
    release.set()
    assert [finding.check_id for finding in report.findings] == ["LEA-06"]
    assert "a thread: forgotten" in report.findings[0].actual


def test_secrets_and_prompts_are_found_in_logs_and_output_of_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    @play
    def logs(lab: Lab) -> None:
        logging.getLogger("adapter").debug("sent %s", lab.canaries["api_key"])
        print(lab.canaries["prompt"])  # noqa: T201 - an adapter may

    report = play_case(MOCK, check(logs).scenes[0], Case("c", logs), SPEC, 0)
    assert sorted(finding.check_id for finding in report.findings) == ["RED-01", "RED-08"]
    assert "[canary:api_key]" in report.findings[0].actual
    assert capsys.readouterr().out == ""


def test_a_rule_that_breaks_under_another_checks_scene_is_reported_too() -> None:
    @play
    def logs(lab: Lab) -> None:
        logging.getLogger("adapter").info(lab.canaries["api_key"])

    own = check(logs)
    report = run_checks(MOCK, select_whole([own]), SPEC, every=[own, CHECKS["RED-01"]])
    assert [(each.check.id, each.outcome) for each in report.checks] == [
        ("TST-01", Outcome.PASS),
        ("RED-01", Outcome.FAIL),
    ]
    assert report.exit_code is Exit.NOT_CONFORMING


def test_each_seed_is_a_play_of_its_own() -> None:
    seen: list[int] = []

    @play
    def notes(lab: Lab) -> None:
        seen.append(lab.seed)

    assert run(notes, seeds=3).cases == 3
    assert seen == [0, 1, 2]


def test_a_seed_repeats_a_case_to_the_letter() -> None:
    def once() -> list[object]:
        kept: list[object] = []

        async def reads(lab: Lab) -> None:
            async with lab.open() as bench:
                await bench.read()
            kept.extend(lab.transcript.entries)

        play_case(MOCK, check(reads).scenes[0], Case("c", reads), SPEC, 5)
        return kept

    assert once() == once() != []


def test_one_case_of_a_check_and_the_whole_of_another_can_be_selected() -> None:
    one, other = CHECKS["CAN-01"], CHECKS["FRM-10"]
    selection = select([(one, "every-instant/waiting"), (other, None)])
    names = {scene.name: [case.name for case in selection.cases(scene, MOCK, SPEC)] for scene in selection.plays}
    assert names == {"every-instant": ["waiting"], "no-token": ["only"]}
    with pytest.raises(KeyError):
        select([(one, "no-token/only")])


def test_a_task_that_is_left_behind_is_named() -> None:
    async def leaks(lab: Lab) -> None:
        async with trio.open_nursery() as outside:
            async with lab.open() as bench:
                await bench.read()
                outside.start_soon(partial(trio.sleep, 10_000), name="forgotten")
            outside.cancel_scope.cancel()

    report = play_case(MOCK, check(leaks).scenes[0], Case("c", leaks), SPEC, 0)
    assert {finding.check_id for finding in report.findings} == {"LEA-01"}
    assert "forgotten" in report.findings[0].actual


def test_requests_keep_what_is_asked_and_have_ids_of_their_own() -> None:
    made: list[TaskRequest] = []

    async def asks(lab: Lab) -> None:
        async with lab.open() as bench:
            made.extend((bench.request(max_tokens=3), bench.request()))

    play_case(MOCK, check(asks).scenes[0], Case("c", asks), SPEC, 0)
    assert made[0].max_tokens == 3
    assert made[0].task_id != made[1].task_id
