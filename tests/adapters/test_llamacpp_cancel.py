"""Cancel, by whatever way and at whatever moment: no token after it, no connection left, the engine's slot let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from adapter_api import CancelMode, CancelSupport, FinishReason, Message, TaskId, Token, Workload
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.script import Accept, Overload, Pause, Script, Stall, Step, Text
from tests.adapters.rig import Outcome, Rig, open_rig, read, request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter_api import TaskRequest

pytestmark = pytest.mark.req("ADAPT-3101", "OC-ADAPT-5010", "AH-1004")

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


async def assert_released(rig: Rig, *, within_s: float = 2.0) -> None:
    await wait_all_tasks_blocked()
    assert rig.double.facts.connections == 0
    await trio.sleep(within_s)
    await wait_all_tasks_blocked()
    assert (rig.double.facts.live, rig.double.slots.deferred) == (0, 0)


@pytest.mark.req("OC-ADAPT-5001a")
def test_the_way_is_named() -> None:
    async def main() -> CancelSupport:
        async with open_rig() as rig:
            return rig.adapter.cancel_support

    assert trio.run(main) == CancelSupport(CancelMode.CLOSE)


@pytest.mark.req("OC-ADAPT-5001a")
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
        assert outcome.events[-1].data["canceled"] is True
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


async def test_breaking_off_after_a_token_lets_the_engine_go(autojump_clock: MockClock) -> None:
    async with open_rig(Script(SPEAKS)) as rig:
        async with rig.adapter.submit(request()) as events:
            async for event in events:
                if isinstance(event, Token):
                    break
        await assert_released(rig)


async def test_a_consumer_that_does_not_read_can_be_cancelled(autojump_clock: MockClock) -> None:
    many = Script.of(*[Text("x" * 400)] * 500)
    task = request()
    async with open_rig(many, link=Link(capacity_bytes=2000)) as rig, rig.adapter.submit(task) as events:
        await anext(events)
        await trio.sleep(30)
        assert rig.double.facts.live == 1
        await rig.adapter.cancel(task.task_id)
        await assert_released(rig)
        assert [event.kind.value for event in [each async for each in events]] == ["end"]


async def test_cancelling_nothing_is_no_error(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"))) as rig:
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
    assert outcomes[1].events[-1].data["finish_reason"] == "stop"


async def test_closing_the_adapter_ends_its_streams(autojump_clock: MockClock) -> None:
    outcome = Outcome()
    async with open_rig(Script(SPEAKS)) as rig:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, rig.adapter, request(), outcome)
            await trio.sleep(2.5)
            nursery.cancel_scope.cancel()
        await assert_released(rig)


async def test_an_engine_that_lost_its_client_may_take_its_time(autojump_clock: MockClock) -> None:
    task = request()
    async with open_rig(Script(SPEAKS), engine=LlamaSettings(release_s=30)) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, task)
        await trio.sleep(2.5)
        await rig.adapter.cancel(task.task_id)
        assert trio.current_time() == 2.5
        assert (await rig.adapter.props()).slots_free == 1  # what the engine says, not what we hope


@final
class Scissors(trio.abc.Instrument):
    """Cancels a scope when the task that entered it takes its n-th step; notes how many steps there were."""

    def __init__(self, cut_at: int) -> None:
        self.steps = 0
        self._cut_at = cut_at
        self._task = trio.lowlevel.current_task()
        self.scope = trio.CancelScope()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.steps += 1
            if self.steps == self._cut_at:
                self.scope.cancel()


async def steps_of(cut_at: int, body: Callable[[], Awaitable[object]]) -> int:
    scissors = Scissors(cut_at)
    trio.lowlevel.add_instrument(scissors)
    try:
        with scissors.scope:
            await body()
    finally:
        trio.lowlevel.remove_instrument(scissors)
    return scissors.steps


TASKS: dict[str, TaskRequest] = {
    "completion": request(),
    "chat": request("", messages=(Message("user", "hi"),)),
    "embedding": request("", workload=Workload.EMBEDDING, inputs=("a", "b")),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("latency_s", [0.0, 0.125])
async def test_a_cut_at_any_step_leaves_nothing_behind(name: str, latency_s: float, autojump_clock: MockClock) -> None:
    steps = 0
    engine = LlamaSettings(has_embeddings=True)
    script = Script.of(Pause(0.5), Accept(), Text("a"), Pause(0.5), Text("b"))
    for cut_at in range(1, 400):
        async with open_rig(script, engine=engine, link=Link(latency_s=latency_s)) as rig:
            outcome = Outcome()

            async def body(rig: Rig = rig, outcome: Outcome = outcome) -> None:
                await read(rig.adapter, TASKS[name], outcome)

            steps = await steps_of(cut_at, body)
            await trio.sleep(latency_s)
            await wait_all_tasks_blocked()
            assert rig.double.facts.connections <= 1, cut_at  # a short call may leave its own for the next
            await trio.sleep(6)
            assert (rig.double.facts.connections, rig.double.facts.live) == (0, 0), cut_at
            assert (await read(rig.adapter, TASKS[name])).kinds[-1] == "end"
        if steps < cut_at:
            break
    assert 5 < steps < 399


@pytest.mark.parametrize("name", TASKS)
async def test_a_cancel_by_id_after_any_step_leaves_nothing_behind(name: str, autojump_clock: MockClock) -> None:
    task = TASKS[name]
    script = Script.of(Pause(0.5), Accept(), Text("a"), Pause(0.5), Text("b"))
    for checkpoints in range(60):
        async with open_rig(script, engine=LlamaSettings(has_embeddings=True)) as rig:
            outcome = Outcome()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, rig.adapter, task, outcome)
                for _ in range(checkpoints):
                    await trio.lowlevel.checkpoint()
                await rig.adapter.cancel(task.task_id)
                tokens = outcome.kinds.count("token")
            assert outcome.error is None, checkpoints
            assert outcome.kinds[-1] == "end"
            if outcome.events[-1].data.get("canceled"):
                assert outcome.kinds.count("token") == tokens
            await trio.sleep(6)
            assert (rig.double.facts.connections, rig.double.facts.live) == (0, 0), checkpoints
