"""Deadlines and cancels that come in the very tick of something else."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import (
    End,
    ReplicaId,
    Started,
    Token,
)
from orchestratord.core.task import CancelReason, TaskState
from tests.support.scripted import CHECKPOINTS, TICK, ScriptedAdapter, answer
from tests.support.service_rig import POOL, decode, frames_of, new_order, open_rig

from .support import assert_one_terminal, assert_over, events_of, texts_of

if TYPE_CHECKING:
    from tests.support.scripted import Step
    from tests.support.service_rig import Seen

Clock = trio.testing.MockClock
GAP = 128 * TICK
R0 = ReplicaId("r0")


@pytest.mark.req("OC-CORE-1022", "SSE-1004b")
@pytest.mark.parametrize("stall", ["engine", "client", "entry"])
async def test_the_deadline_ends_a_run_wherever_it_hangs(autojump_clock: Clock, stall: str) -> None:
    adapter = {
        "engine": ScriptedAdapter(streams=[[Started(), Token("a", 0), trio.Event()]]),
        "client": ScriptedAdapter(streams=[answer(*"abcdefgh")]),
        "entry": ScriptedAdapter(entry=[trio.Event()]),
    }[stall]
    async with open_rig(adapter, stream={"channel_cap": 2}) as rig:
        task = rig.admit(new_order(deadline_ms=5000))
        rig.attach(task)
        await task.closed.wait()
        assert trio.current_time() == 5.0
        await trio.testing.wait_all_tasks_blocked()
        frames = frames_of(task)
        assert_over(rig, task)
    assert frames[-1].data["code"] == "DEADLINE_UNMET"
    assert "while the engine was answering" in str(frames[-1].data["message"])


@pytest.mark.req("OC-CORE-1020", "OC-CORE-1022")
async def test_the_deadline_counts_the_wait_for_a_slot(autojump_clock: Clock) -> None:
    slow: list[Step] = [Started(), trio.Event()]
    async with open_rig(ScriptedAdapter(streams=[slow])) as rig:
        first = rig.admit(new_order(deadline_ms=60_000))
        waiting = rig.admit(new_order(deadline_ms=4000))
        await trio.sleep(1)
        frames = await rig.read(waiting)
        assert trio.current_time() == 4.0
        assert "while it waited for a slot" in str(frames[-1].data["message"])
        assert waiting.task_id not in rig.pool.queue
        await rig.dispatcher.cancel(first.task_id)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, first)
        assert_over(rig, waiting)
        assert len(rig.adapters[0].requests) == 1


@pytest.mark.req("OC-CORE-1020")
async def test_the_engine_is_told_the_time_that_is_left(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", gap_s=2.0)])) as rig:
        rig.admit()
        second = rig.admit(new_order(deadline_ms=10_000))
        await second.closed.wait()
        assert [request.deadline_ms for request in rig.adapters[0].requests] == [60_000, 8000]


@pytest.mark.req("OC-CORE-1022", "OC-CTRL-2012")
@pytest.mark.parametrize(("shift", "late"), list(product((-1, 0, 1), range(4))))
async def test_a_slot_that_frees_at_the_deadline_leaves_one_outcome(
    autojump_clock: Clock, shift: int, late: int
) -> None:
    first_steps: list[Step] = [Started(), 4.0 + shift * TICK, CHECKPOINTS(late), End(tokens_out=0, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[first_steps, answer("a")], tells_slots=False)) as rig:
        rig.admit()
        waiting = rig.admit(new_order(deadline_ms=4000))
        frames = await rig.read(waiting)
        await trio.testing.wait_all_tasks_blocked()
        if waiting.begun:
            assert frames[-1].event in {"end", "error"}
        else:
            assert frames[-1].data["code"] == "DEADLINE_UNMET"
            assert "while it waited for a slot" in str(frames[-1].data["message"])
            assert waiting not in rig.pool.replicas[R0].busy  # a slot that was never used is free at once
        await trio.sleep(4)
        assert_over(rig, waiting)
        assert rig.metric("tasks_started_total") == len(rig.adapters[0].requests)


@pytest.mark.req("ADAPT-3002b", "OC-CORE-1022")
async def test_a_clean_up_that_fails_at_the_deadline_does_not_change_the_outcome(autojump_clock: Clock) -> None:
    async with open_rig(
        ScriptedAdapter(streams=[[Started(), trio.Event()]], exit=[ValueError("broken clean-up")])
    ) as rig:
        task = rig.admit(new_order(deadline_ms=1000))
        frames = await rig.read(task)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
    assert frames[-1].data["code"] == "DEADLINE_UNMET"


MOMENTS = [(token * GAP + shift * TICK, late) for token, shift, late in product((0, 1, 2), (-1, 0, 1), range(4))]


@pytest.mark.req("SSE-1002", "SSE-1002a", "SSE-1002b", "OC-CTRL-2012", "OC-CTRL-2027")
@pytest.mark.parametrize(("moment", "late"), MOMENTS)
@pytest.mark.parametrize("linger_s", [0.0, 1.0])
async def test_no_token_after_an_acknowledged_cancel(
    autojump_clock: Clock, moment: float, late: int, linger_s: float
) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", "b", "c", gap_s=GAP)], linger_s=linger_s)
    async with open_rig(adapter) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        taken: list[Seen] = []
        acknowledged: list[int] = []

        async def read() -> None:
            while (batch := await reader.next_batch()) is not None:
                taken.extend(decode(batch))
            rig.dispatcher.detach(task, reader)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(max(0.0, moment))
            for _ in range(late):
                await trio.lowlevel.checkpoint()
            await rig.dispatcher.cancel(task.task_id)
            acknowledged.append(len(taken))
            assert not adapter.live  # the engine's connection is closed by now
        assert "token" not in events_of(taken[acknowledged[0] :])
        assert taken[0].event == "started"
        assert events_of(taken).count("end") == 1
        assert taken[-1].data["canceled"] is True
        assert taken[-1].data["tokens_out"] == task.tokens
        await trio.sleep(4)
        assert_over(rig, task)
        assert rig.metric("tasks_canceled_total", reason="client") == 1
        assert decode(b"".join(task.log.frames))[-1].event == "end"


@pytest.mark.req("SSE-1002", "OC-CTRL-2012", "OC-CTRL-2027")
@pytest.mark.parametrize("late", range(6))
@pytest.mark.parametrize("way", ["client", "disconnect", "nobody"])
async def test_a_token_that_is_on_its_way_when_the_cancel_comes_is_dropped(
    autojump_clock: Clock, late: int, way: str
) -> None:
    """The engine's bytes wake the run, and before it runs, or some checkpoints later, the cancel comes."""
    bytes_came = trio.Event()
    async with open_rig(ScriptedAdapter(streams=[[Started(), bytes_came, *answer("a", "b", "c")[1:]]])) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await trio.testing.wait_all_tasks_blocked()
        bytes_came.set()
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        tokens = task.tokens
        if way == "disconnect":
            rig.dispatcher.detach(task, reader)
        elif way == "client":
            await rig.dispatcher.cancel(task.task_id)
        is_stopped = task.state is TaskState.CANCELED
        await task.closed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
        assert task.tokens == (tokens if is_stopped else 3)
        assert texts_of(frames_of(task)) == ["a", "b", "c"][: task.tokens]


@pytest.mark.req("SSE-1002b", "OC-CORE-1005", "OC-CTRL-2027")
@pytest.mark.parametrize("late", range(5))
async def test_a_queued_task_that_is_canceled_as_the_queue_moves(autojump_clock: Clock, late: int) -> None:
    """The queue moves and the cancel comes in the same tick: the place that was about to be told is not told."""
    async with open_rig(ScriptedAdapter(streams=[[Started(), trio.Event()]])) as rig:
        first = rig.admit()
        second = rig.admit()
        third = rig.admit()
        reader = rig.attach(third)
        await trio.testing.wait_all_tasks_blocked()
        rig.dispatcher.pools[POOL].leave(second)
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        third.cancel(CancelReason.CLIENT)
        await trio.testing.wait_all_tasks_blocked()
        assert frames_of(third)[-1].event == "end"
        assert_one_terminal(third)
        reader.detach()
        await rig.dispatcher.cancel(first.task_id)


@pytest.mark.req("OC-CORE-1005", "OC-CORE-1006")
@pytest.mark.parametrize("late", range(4))
async def test_a_slot_that_frees_as_its_heir_is_canceled_goes_to_the_next(autojump_clock: Clock, late: int) -> None:
    streams: list[list[Step]] = [[Started(), trio.Event()], answer("a")]
    async with open_rig(ScriptedAdapter(streams=streams, tells_slots=False)) as rig:
        first = rig.admit()
        heir = rig.admit()
        third = rig.admit()
        await trio.testing.wait_all_tasks_blocked()
        heir.cancel(CancelReason.CLIENT)
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        rig.pool.leave(first)
        await third.closed.wait()
        assert third.state is TaskState.ENDED
        assert not heir.begun
        assert trio.current_time() == 0.0  # nobody waited for a slot that the heir never used
        await rig.dispatcher.cancel(first.task_id)
