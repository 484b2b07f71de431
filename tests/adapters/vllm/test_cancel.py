"""Cancel, by whatever way and at whatever moment: no token after it, no connection left, the engine's seat let go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import CancelMode, CancelSupport, FinishReason, TaskId
from conformance.engines.host import Link
from conformance.engines.script import Accept, Overload, Pause, Script, Stall, Step, Text
from conformance.engines.vllm import VllmSettings
from tests.adapters.rig import Outcome, read, request

from .rig import Rig, open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.req("ADAPT-3101", "OC-ADAPT-5020a", "AH-1004")

SPEAKS = (Pause(1), Accept(), Pause(1), Text(" a"), Pause(1), Text(" b"), Pause(1), Text(" c"), Stall())
PHASES: dict[str, tuple[tuple[Step, ...], float, int]] = {
    "in the engine's queue": ((Overload(),), 0.5, 0),
    "before the head": (SPEAKS, 0.5, 0),
    "while the prompt is computed": (SPEAKS, 1.5, 0),
    "after a token": (SPEAKS, 2.5, 1),
    "between tokens": (SPEAKS, 3.5, 2),
    "after the last token": (SPEAKS, 9.0, 3),
}
"""Phase -> script, when to cancel, tokens by then."""


async def assert_released(rig: Rig) -> None:
    await wait_all_tasks_blocked()
    assert rig.double.facts.connections == 0
    await rig.settle()
    assert (rig.double.facts.live, rig.double.seats.waiting) == (0, 0)


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancel_by_id_ends_the_stream_in_order(phase: str, autojump_clock: MockClock) -> None:
    steps, at_s, tokens = PHASES[phase]
    task, outcome = request(), Outcome()
    async with open_rig(Script(steps)) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(at_s)
        await rig.adapter.cancel(task.task_id)
        assert trio.current_time() == at_s  # nothing about it waits for the engine
        await wait_all_tasks_blocked()
        assert outcome.error is None
        assert outcome.kinds == ["started", *["token"] * tokens, "end"]
        assert outcome.events[-1].data["finish_reason"] == FinishReason.CANCELED
        await assert_released(rig)
        assert len(rig.double.facts.gone) == 1


@pytest.mark.parametrize("phase", PHASES)
async def test_leaving_the_block_lets_the_engine_go(phase: str, autojump_clock: MockClock) -> None:
    steps, at_s, tokens = PHASES[phase]
    outcome = Outcome()
    async with open_rig(Script(steps)) as rig:
        with trio.move_on_after(at_s):
            await read(rig.adapter, request(), outcome)
        assert trio.current_time() == at_s
        assert outcome.kinds.count("token") == tokens
        assert "end" not in outcome.kinds
        await assert_released(rig)


async def test_an_abort_that_we_asked_for_is_no_reset(autojump_clock: MockClock) -> None:
    # The engine may still get its word for a request that it gave up onto the wire: nobody reads it.
    task, outcome = request(), Outcome()
    async with open_rig(Script.of(Text("a"), Stall()), link=Link(latency_s=0.5)) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(5)
        await rig.adapter.cancel(task.task_id)
        await wait_all_tasks_blocked()
    assert outcome.error is None
    assert outcome.kinds == ["started", "token", "end"]


async def test_cancelling_nothing_is_no_error(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"))) as rig:
        assert rig.adapter.cancel_support == CancelSupport(CancelMode.CLOSE)
        await rig.adapter.cancel(TaskId("never seen"))
        task = request()
        assert (await read(rig.adapter, task)).kinds[-1] == "end"
        await rig.adapter.cancel(task.task_id)


async def test_one_cancel_leaves_the_others_alone(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(2), Text("b"))
    tasks, outcomes = [request(), request()], [Outcome(), Outcome()]
    async with open_rig(script) as rig, trio.open_nursery() as nursery:
        for task, outcome in zip(tasks, outcomes, strict=True):
            nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(1)
        await rig.adapter.cancel(tasks[0].task_id)
        await trio.sleep(2)
    assert [outcome.text for outcome in outcomes] == ["a", "ab"]


async def test_an_engine_that_lost_its_client_may_take_its_time(autojump_clock: MockClock) -> None:
    task = request()
    engine = VllmSettings(slots=2, release_s=30)
    async with open_rig(Script(SPEAKS), engine=engine, slots=2) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, task)
        await trio.sleep(2.5)
        await rig.adapter.cancel(task.task_id)
        assert trio.current_time() == 2.5
        assert (await rig.adapter.props()).slots_free == 1  # what the engine says, not what we hope
