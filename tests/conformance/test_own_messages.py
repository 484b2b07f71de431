"""The kit that says something wrong itself: it has to blame itself, and no adapter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

import specs
from adapter_api import Message, Sampling, TaskId, TaskRequest
from conformance.catalogue import CHECKS
from conformance.check import Check, Group, Scene, one
from conformance.engines.script import Accept, Pause, Script, Text
from conformance.outcome import Exit, Outcome
from conformance.own_messages import KitFault, OwnMessages, check_script
from conformance.runner import run_checks
from conformance.selection import select_whole
from conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from conformance.check import Play
    from conformance.lab import Lab
    from conformance.outcome import SuiteReport

SPEC = specs.load()
OWN = OwnMessages(SPEC)
PLAIN = TaskRequest(task_id=TaskId("task-1"), prompt="Count to three.")


def played(play: Play) -> SuiteReport:
    scene = Scene(name="broken-kit", how="The kit says something wrong.", cases=one(play))
    check = Check(id="XXX-01", title="a check", group=Group.LIFE, requirements=("ADAPT-3010",), scenes=(scene,))
    every = [check, *CHECKS.values()]
    return run_checks(SUBJECTS["mock"], select_whole([check]), SPEC, every=every, twice=True)


async def asks_for_nothing(lab: Lab) -> None:
    async with lab.open() as bench:
        await bench.read(bench.request(max_tokens=0))


async def asks_in_a_reader(lab: Lab) -> None:
    async with lab.open() as bench:
        bench.start()
        await bench.read(bench.request(deadline_ms=1.5))


async def plays_half_a_character(lab: Lab) -> None:
    async with lab.open(Script.of(Text("\ud83e"))) as bench:
        await bench.read()


async def says_what_is_valid(lab: Lab) -> None:
    async with lab.open(Script.of(Text("One"))) as bench:
        await bench.read(bench.request(sampling=Sampling(temperature=0.5, stop=("end",))))


@pytest.mark.req("GATE-1001e")
@pytest.mark.parametrize("play", [asks_for_nothing, asks_in_a_reader, plays_half_a_character])
def test_a_kit_that_says_something_wrong_blames_itself(play: Play) -> None:
    report = played(play)
    assert report.exit_code is Exit.KIT_ERROR
    assert not report.having(Outcome.FAIL, Outcome.WARN, Outcome.NOT_TESTABLE)
    assert "KitFault" in str(report.kit_errors[0].kit_error)


def test_a_kit_that_says_nothing_wrong_blames_nobody() -> None:
    assert played(says_what_is_valid).exit_code is Exit.CONFORMING


@pytest.mark.req("GATE-1001e")
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (TaskRequest(task_id=TaskId("")), "'task_id'"),
        (TaskRequest(task_id=TaskId("a"), max_tokens=-1), "'max_tokens'"),
        (TaskRequest(task_id=TaskId("a"), max_tokens=True), "'max_tokens'"),
        (TaskRequest(task_id=TaskId("a"), workload="chat"), "'workload'"),  # type: ignore[arg-type]  # the fault
        (TaskRequest(task_id=TaskId("a"), prompt="x", messages=(Message("user", "y"),)), "should not be valid"),
        (TaskRequest(task_id=TaskId("a"), sampling=Sampling(stop=("",))), "'stop'"),
        (TaskRequest(task_id=TaskId("a"), sampling=Sampling(temperature=math.nan)), "no JSON"),
        (TaskRequest(task_id=TaskId("a"), seed=2**63), "'seed'"),
        (TaskRequest(task_id=TaskId("a"), deadline_ms=0), "'deadline_ms'"),
    ],
)
def test_a_request_that_is_none_is_told_by_its_field(request_: TaskRequest, words: str) -> None:
    with pytest.raises(KitFault, match=words):
        OWN.check_request(request_)


@pytest.mark.parametrize(
    "valid",
    [
        PLAIN,
        TaskRequest(task_id=TaskId("a"), messages=(Message("user", "hello"),), seed=-(2**63)),
        TaskRequest(task_id=TaskId("a"), inputs=("one", ""), sampling=Sampling(temperature=0.0, top_k=1)),
    ],
)
def test_a_request_that_is_one_is_given_back(valid: TaskRequest) -> None:
    assert OWN.check_request(valid) is valid


@pytest.mark.req("GATE-1001e")
@pytest.mark.parametrize(
    "script",
    [Script.of(Text("\ud83e")), Script.of(Pause(float("inf"))), Script.of(Pause(1), Text(b"x"))],  # type: ignore[arg-type]
)
def test_a_script_that_cannot_be_sent_is_a_fault_of_the_kit(script: Script) -> None:
    with pytest.raises(KitFault, match="the kit's script"):
        check_script(script)


def test_a_script_that_can_be_sent_is_none() -> None:
    check_script(Script.of(Accept(), Text("\u2028\x00"), Pause(0.125), loading_s=1.0))
