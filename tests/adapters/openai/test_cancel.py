"""Cancel, by whatever way and at whatever moment: no token after it, no connection left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import CancelMode, CancelSupport, FinishReason, TaskId
from conformance.engines.script import Accept, Pause, Script, Stall, Step, Text
from tests.adapters.rig import Outcome, read, request

from .rig import Rig, open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.req("ADAPT-3101", "AH-1004")

SPEAKS = (Pause(1), Accept(), Pause(1), Text(" a"), Pause(1), Text(" b"), Pause(1), Text(" c"), Stall())
PHASES: dict[str, tuple[tuple[Step, ...], float, int]] = {
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
    assert rig.double.facts.live == 0


@pytest.mark.parametrize("api", ["completions", "chat", "responses"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancel_by_id_ends_the_stream_in_order(phase: str, api: str, autojump_clock: MockClock) -> None:
    steps, at_s, tokens = PHASES[phase]
    task, outcome = request(), Outcome()
    async with open_rig(Script(steps), api=api, model="tiny") as rig, trio.open_nursery() as nursery:
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
    async with open_rig(Script(steps), model="tiny") as rig:
        with trio.move_on_after(at_s):
            await read(rig.adapter, request(), outcome)
        assert trio.current_time() == at_s
        assert outcome.kinds.count("token") == tokens
        assert "end" not in outcome.kinds
        await assert_released(rig)


async def test_a_cancel_stops_the_look_up_of_the_model(autojump_clock: MockClock) -> None:
    task, outcome = request(), Outcome()
    async with open_rig() as rig, trio.open_nursery() as nursery:
        rig.double.load(Script.of(Stall()), path="/v1/models")
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(0.5)
        await rig.adapter.cancel(task.task_id)
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0.5
        assert outcome.kinds == ["started", "end"]
        assert rig.double.facts.submitted == 0


async def test_cancelling_nothing_is_no_error(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"))) as rig:
        assert rig.adapter.cancel_support == CancelSupport(CancelMode.CLOSE)
        await rig.adapter.cancel(TaskId("never seen"))
        task = request()
        assert (await read(rig.adapter, task)).kinds[-1] == "end"
        await rig.adapter.cancel(task.task_id)
