"""Clients that cancel, leave, come back and wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import CancelMode, CancelSupport, Started, TaskId, Token
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.errors import Code, Refused
from tests.support.scripted import TICK, ScriptedAdapter, answer
from tests.support.service_rig import decode, frames_of, new_order, open_rig

from .support import busy, kinds

if TYPE_CHECKING:
    from tests.support.scripted import Step
    from tests.support.service_rig import Seen

Clock = trio.testing.MockClock
ID = "6f1c2a54-9d0e-4a53-8f7e-1f0b7d3c2a10"


@pytest.mark.req("SSE-1002d")
async def test_an_unknown_task_is_not_found(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        with pytest.raises(Refused) as caught:
            await rig.dispatcher.cancel(TaskId(ID))
        assert caught.value.envelope.code is Code.NOT_FOUND


@pytest.mark.req("SSE-1002b", "OC-CORE-1005")
async def test_a_queued_task_is_canceled_at_once_and_leaves_its_seat(autojump_clock: Clock) -> None:
    async with open_rig(busy(), queue={"capacity": 1}) as rig:
        rig.admit()
        queued = rig.admit()
        await trio.testing.wait_all_tasks_blocked()
        await rig.dispatcher.cancel(queued.task_id)
        assert queued.task_id not in rig.pool.queue
        rig.admit()
        assert trio.current_time() == 0.0
        assert kinds(queued) == ["started", "end"]
        assert frames_of(queued)[-1].data["canceled"] is True
        late = await rig.read(queued)
        assert [seen.event for seen in late] == ["started", "end"]
        assert len(rig.adapters[0].requests) == 1
        assert rig.metric("tasks_canceled_total", reason="client", replica_id="unplaced") == 1


@pytest.mark.req("SSE-1002c")
async def test_a_cancel_repeated_or_too_late_changes_nothing(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a")])) as rig:
        task = rig.admit()
        await task.closed.wait()
        before = list(task.log.frames)
        await rig.dispatcher.cancel(task.task_id)
        await rig.dispatcher.cancel(task.task_id)
        assert task.log.frames == before
        assert task.state is TaskState.ENDED
        assert rig.metric("tasks_canceled_total") == 0


@pytest.mark.req("SSE-1002c")
async def test_a_cancel_of_a_finished_task_does_not_cut_its_readers_off(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a")])) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await task.closed.wait()
        await reader.next_batch()  # and the client takes its time
        await rig.dispatcher.cancel(task.task_id)
        assert rig.cut_off == []
        assert trio.current_time() == 0.0


@pytest.mark.req("SSE-1002", "SSE-1002e")
@pytest.mark.parametrize("repeat", [False, True])
async def test_a_cancel_cuts_off_a_client_that_does_not_take_its_token(autojump_clock: Clock, *, repeat: bool) -> None:
    script: list[Step] = [Started(), Token("a", 0), trio.Event()]
    async with open_rig(ScriptedAdapter(streams=[script])) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await trio.testing.wait_all_tasks_blocked()
        assert b"token" in (await reader.next_batch() or b"")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.dispatcher.cancel, task.task_id)
            if repeat:
                await trio.sleep(0.25)
                await rig.dispatcher.cancel(task.task_id)
                assert rig.cut_off  # the second one holds what it says, too
        assert set(rig.cut_off) == {task.task_id}
        assert trio.current_time() <= 1.25


@pytest.mark.req("SSE-1002e")
async def test_a_hung_engine_delays_the_answer_to_a_cancel_by_its_bound(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()]], exit=[600.0])
    async with open_rig(adapter, stream={"cancel_ack_timeout_ms": 500}) as rig:
        task = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(task.task_id)
        assert trio.current_time() == 1.5
        assert kinds(task) == ["started", "end"]
        assert rig.pool.active_leases == 1  # the engine still has it


@pytest.mark.req("SSE-1003a")
@pytest.mark.parametrize("where", ["queue", "engine"])
async def test_the_last_reader_takes_its_task_with_it(autojump_clock: Clock, where: str) -> None:
    async with open_rig(busy()) as rig:
        running = rig.admit()
        queued = rig.admit()
        task = queued if where == "queue" else running
        first, second = rig.attach(task), rig.attach(task)
        await trio.sleep(1)
        rig.dispatcher.detach(task, first)
        assert not task.state.is_final
        rig.dispatcher.detach(task, second)
        assert task.cancel_reason is CancelReason.DISCONNECT
        assert task.task_id not in rig.pool.queue
        await task.closed.wait()
        await trio.sleep(4)
        assert rig.metric("tasks_canceled_total", reason="disconnect") == 1


@pytest.mark.req("SSE-1003a")
async def test_a_task_outlives_its_readers_where_the_configuration_says_so(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", gap_s=1.0)])
    async with open_rig(adapter, stream={"cancel_on_disconnect": False}) as rig:
        task = rig.admit()
        rig.dispatcher.detach(task, rig.attach(task))
        await task.closed.wait()
        assert task.state is TaskState.ENDED


@pytest.mark.req("SSE-1003b", "SSE-1003c")
@pytest.mark.parametrize("shift", [-1, 0, 1])
async def test_a_client_that_comes_back_within_the_window_gets_the_rest(autojump_clock: Clock, shift: int) -> None:
    """Back one tick before the window closes it goes on; on the tick either may win; a tick after it is over."""
    adapter = ScriptedAdapter(streams=[answer(*"abcdefgh", gap_s=1.0)])
    async with open_rig(adapter, stream={"resume_window_ms": 2000}) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        seen: list[Seen] = []
        while len(seen) < 3:
            seen += decode(await reader.next_batch() or b"")
        rig.dispatcher.detach(task, reader)
        await trio.sleep(2 + shift * TICK)
        rest = await rig.read(task, after=seen[-1].id)
        assert rest[-1].event == "end"
        if shift < 0:
            assert task.state is TaskState.ENDED
            assert [frame.id for frame in seen + rest] == list(range(1, len(task.log.frames) + 1))
        if shift > 0:
            assert task.cancel_reason is CancelReason.DISCONNECT
        assert rest[-1].data.get("canceled", False) == (task.state is TaskState.CANCELED)


@pytest.mark.req("SSE-1003b", "OC-CORE-1022")
async def test_the_window_does_not_reach_beyond_the_deadline(autojump_clock: Clock) -> None:
    async with open_rig(busy(), stream={"resume_window_ms": 10_000}) as rig:
        task = rig.admit(new_order(deadline_ms=5000))
        rig.dispatcher.detach(task, rig.attach(task))
        await task.closed.wait()
        assert trio.current_time() == 5.0
        assert frames_of(task)[-1].data["code"] == "DEADLINE_UNMET"


@pytest.mark.req("SSE-1003b")
async def test_a_reader_that_leaves_before_the_run_has_begun_starts_the_window(autojump_clock: Clock) -> None:
    async with open_rig(busy(), stream={"resume_window_ms": 1000}) as rig:
        task = rig.admit()
        rig.dispatcher.detach(task, rig.attach(task))  # in the tick of the admission
        await task.closed.wait()
        assert trio.current_time() == 1.0
        assert task.cancel_reason is CancelReason.DISCONNECT


@pytest.mark.req("OC-CTRL-2021b", "OC-CTRL-2021a")
async def test_a_waiting_reader_is_told_its_place_when_it_changes(autojump_clock: Clock) -> None:
    streams = [answer("a", gap_s=1.0)]
    async with open_rig(ScriptedAdapter(streams=streams)) as rig:
        for _ in range(3):
            rig.admit()
        frames = await rig.read(rig.admit())
    places = [seen.data["queue_position"] for seen in frames if "queue_position" in seen.data]
    assert places[0] == 2
    assert places[1:] == [1, 0, 0][: len(places) - 1]
    assert [seen.event for seen in frames if seen.event not in {"metrics"}] == ["started", "token", "end"]


@pytest.mark.req("OC-CTRL-2021b")
async def test_places_are_told_at_a_bounded_cadence(autojump_clock: Clock) -> None:
    async with open_rig(busy(), stream={"metrics_period_ms": 1000}) as rig:
        rig.admit()
        others = [rig.admit() for _ in range(20)]
        task = rig.admit()
        rig.attach(task)
        for other in others:
            await trio.sleep(0.0625)
            await rig.dispatcher.cancel(other.task_id)
        await trio.sleep(2)
        told = [seen.data["queue_position"] for seen in frames_of(task) if seen.event == "metrics"]
        assert 1 <= len(told) <= 4


@pytest.mark.req("OC-CTRL-2021b", "SSE-1004")
async def test_a_full_log_drops_the_places_of_a_task_that_waits_and_not_the_task(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", gap_s=1.0)])) as rig:
        others = [rig.admit(), rig.admit()]
        task = rig.admit()
        reader = rig.attach(task)
        await trio.testing.wait_all_tasks_blocked()
        task.log.max_bytes = task.log.size
        await others[0].closed.wait()
        await trio.sleep(0.5)
        assert not task.state.is_final
        assert rig.metric("sse_backpressure_drops_total", frame="metrics") >= 1
        reader.detach()
        task.log.max_bytes = 1 << 20
        await task.closed.wait()
        assert task.state is TaskState.ENDED


class Aborting(ScriptedAdapter):
    """An engine that has a cancel call of its own."""

    cancel_support = CancelSupport(CancelMode.ABORT)


@pytest.mark.req("AH-1004c", "SSE-1002")
@pytest.mark.parametrize("adapter", [Aborting, ScriptedAdapter])
async def test_an_engine_with_a_cancel_call_of_its_own_is_called(
    autojump_clock: Clock, adapter: type[ScriptedAdapter]
) -> None:
    async with open_rig(adapter(streams=[[Started(), Token("a", 0), trio.Event()]])) as rig:
        task = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(task.task_id)
        assert rig.adapters[0].canceled == ([task.task_id] if adapter is Aborting else [])
        assert frames_of(task)[-1].data["canceled"] is True


@pytest.mark.req("AH-1004c", "SSE-1002e")
async def test_a_cancel_call_that_hangs_or_fails_delays_the_answer_by_its_bound(autojump_clock: Clock) -> None:
    hung = Aborting(streams=[[Started(), trio.Event()]], cancel_steps=[600.0])
    async with open_rig(hung, stream={"cancel_ack_timeout_ms": 500}) as rig:
        task = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(task.task_id)
        assert trio.current_time() == 1.5
    broken = Aborting(streams=[[Started(), trio.Event()]], cancel_steps=[ValueError("odd")])
    async with open_rig(broken) as rig:
        task = rig.admit()
        await trio.testing.wait_all_tasks_blocked()
        await rig.dispatcher.cancel(task.task_id)
        assert task.cancel_reason is CancelReason.CLIENT
