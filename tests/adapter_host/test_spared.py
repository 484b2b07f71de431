"""What a stream's end means to the breaker of its replica, and the engine's own cancel call."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    DeadlineUnmet,
    InternalError,
    PoolUnavailable,
    Started,
    TaskId,
    Token,
    WorkerError,
    WorkerReset,
)
from adapter_host import Action, BreakerState
from tests.support.scripted import ScriptedAdapter, answer

from .support import CANARY, POOL, R0, Bench, bench, request

if TYPE_CHECKING:
    from tests.support.scripted import Step

Clock = trio.testing.MockClock
TASK = TaskId("task")
DOWN: list[list[Step]] = [[Started(), WorkerReset("cut")]] * 5
"""As many failures as open a breaker."""


async def fail(rig: Bench, times: int = 5) -> None:
    for _ in range(times):
        with suppress(WorkerError):
            await rig.collect()


@pytest.mark.req("ORCH-3602h", "ORCH-3602k")
@pytest.mark.parametrize(
    "error", [WorkerReset("cut"), PoolUnavailable("busy"), AdapterError("odd"), InternalError("x")]
)
async def test_failures_open_it_and_then_the_engine_is_left_alone(autojump_clock: Clock, error: WorkerError) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), error]])
    rig = bench(adapter)
    await fail(rig)
    with pytest.raises(PoolUnavailable, match="left alone") as caught:
        await rig.collect()
    assert 500 <= (caught.value.retry_after_ms or 0) <= 1000
    assert len(adapter.requests) == 5


@pytest.mark.req("ORCH-3602h")
@pytest.mark.parametrize("error", [AdapterError("too long", blames_request=True), DeadlineUnmet("too late")])
async def test_requests_at_fault_and_deadlines_do_not_count(autojump_clock: Clock, error: WorkerError) -> None:
    rig = bench(ScriptedAdapter(streams=[[Started(), error]]))
    await fail(rig, 20)
    assert rig.host.breaker(POOL, R0).state is BreakerState.CLOSED


@pytest.mark.req("ORCH-3602h")
@pytest.mark.parametrize("way", ["scope", "cancel", "own error", "broken clean-up"])
async def test_a_stream_that_somebody_ended_does_not_count(autojump_clock: Clock, way: str) -> None:
    steps: list[Step] = [Started(), Token("a", 0), trio.Event()]
    broken: list[Step] = [ValueError("clean-up")] if way == "broken clean-up" else []
    rig = bench(ScriptedAdapter(streams=[steps], exit=broken))
    for _ in range(20):
        if way == "cancel":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rig.collect)
                await trio.testing.wait_all_tasks_blocked()
                await rig.host.cancel(POOL, TASK)
                nursery.cancel_scope.cancel()
        elif way == "own error":
            with suppress(KeyError):
                async with rig.host.submit(POOL, request()):
                    raise KeyError
        else:
            with trio.move_on_after(1):
                await rig.collect()
    assert rig.host.breaker(POOL, R0).state is BreakerState.CLOSED


@pytest.mark.req("ORCH-3602j")
async def test_the_probe_that_is_cancelled_leaves_its_place_to_the_next(autojump_clock: Clock) -> None:
    rig = bench(ScriptedAdapter(streams=[*DOWN, [Started(), trio.Event()], answer("a")]))
    await fail(rig)
    await trio.sleep(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.collect)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(PoolUnavailable):
            await rig.collect()
        nursery.cancel_scope.cancel()
    assert (await rig.collect())[-1].kind == "end"
    assert rig.host.breaker(POOL, R0).state is BreakerState.CLOSED


@pytest.mark.req("ORCH-3602j")
async def test_the_first_token_of_the_probe_lets_the_others_through(autojump_clock: Clock) -> None:
    rig = bench(ScriptedAdapter(streams=[*DOWN, [Started(), Token("a", 0), trio.Event()], answer("b")]))
    await fail(rig)
    await trio.sleep(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.collect)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.collect())[-1].kind == "end"
        nursery.cancel_scope.cancel()


@pytest.mark.req("ORCH-3604", "AH-2001")
async def test_every_change_is_told(autojump_clock: Clock) -> None:
    rig = bench(ScriptedAdapter(streams=[*DOWN, answer("a")]))
    await fail(rig)
    await trio.sleep(1)
    await rig.collect()
    told = [note for note in rig.notes if note.action is Action.BREAKER]
    assert [note.fields["state"] for note in told] == ["open", "half_open", "closed"]
    assert [note.human for note in told] == [
        "sends nothing to a replica that fails again and again",
        "sends one task to a replica that has failed, to see whether it works again",
        "trusts a replica again",
    ]
    assert {note.target for note in told} == {POOL}
    assert {note.fields["replica_id"] for note in told} == {R0}
    assert "retry_after_ms" in told[0].fields


@dataclass(eq=False, slots=True, kw_only=True)
class Aborting(ScriptedAdapter):
    """An engine with a cancel call of its own, or not."""

    mode: CancelMode = CancelMode.ABORT

    @property
    def cancel_support(self) -> CancelSupport:  # type: ignore[override]  # a property where it is a constant
        return CancelSupport(self.mode)


@pytest.mark.req("AH-1004c")
@pytest.mark.parametrize(
    ("mode", "asked"), [(CancelMode.ABORT, [TASK]), (CancelMode.CLOSE, []), (CancelMode.DRAIN, [])]
)
async def test_only_engines_with_a_cancel_call_of_their_own_are_asked(
    autojump_clock: Clock, mode: CancelMode, asked: list[TaskId]
) -> None:
    adapter = Aborting(streams=[[Started(), trio.Event()]], mode=mode)
    rig = bench(adapter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.collect)
        await trio.testing.wait_all_tasks_blocked()
        await rig.host.abort(POOL, TASK)
        nursery.cancel_scope.cancel()
    assert adapter.canceled == asked
    await rig.host.abort(POOL, TASK)
    assert adapter.canceled == asked


@pytest.mark.req("AH-1004d", "AH-3001")
async def test_a_cancel_call_that_raises_does_not_spoil_the_cancel(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()]], cancel_steps=[ValueError(f"no {CANARY}")])
    rig = bench(adapter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.collect)
        await trio.testing.wait_all_tasks_blocked()
        assert await rig.host.cancel(POOL, TASK)
        nursery.cancel_scope.cancel()
    assert [note.human for note in rig.notes if note.action is Action.ERROR] == [
        "scripted fails a task: the adapter raised ValueError: no ***"
    ]
