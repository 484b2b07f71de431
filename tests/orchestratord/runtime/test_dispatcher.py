"""Admission, cancel, clients that come and go, and the drain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import PoolId, Started, TaskId, Token, WorkerHealth, Workload
from orchestratord.core.placement import Placement, PlacementMode
from orchestratord.core.queue import Priority
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.errors import Code, ErrorEnvelope, Refused
from tests.support.scripted import TICK, ScriptedAdapter, answer
from tests.support.service_rig import POOL, decode, frames_of, new_order, open_rig

if TYPE_CHECKING:
    from orchestratord.runtime.task import Order, Task
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig, Seen

Clock = trio.testing.MockClock
ID = "6f1c2a54-9d0e-4a53-8f7e-1f0b7d3c2a10"


def busy(count: int = 1) -> ScriptedAdapter:
    """An engine whose first answers never come."""
    return ScriptedAdapter(streams=[[Started(), trio.Event()] for _ in range(count)])


def refused(rig: Rig, order: Order | None = None) -> ErrorEnvelope:
    with pytest.raises(Refused) as caught:
        rig.admit(order)
    return caught.value.envelope


def kinds(task: Task) -> list[str]:
    return [seen.event for seen in frames_of(task)]


@pytest.mark.req("OC-CTRL-2010", "OC-CTRL-2050")
async def test_the_answer_tells_place_and_start(autojump_clock: Clock) -> None:
    async with open_rig(busy()) as rig:
        orders = [new_order() for _ in range(3)]
        answers = [rig.dispatcher.admit(order) for order in orders]
        assert [told["queue_position"] for told in answers] == [0, 0, 1]
        assert [told["predicted_start_ms"] for told in answers] == [0, 2000, 4000]
        assert [told["task_id"] for told in answers] == [order.request.task_id for order in orders]
        assert {told["backoff_ms"] for told in answers} == {0}
        waiting = rig.dispatcher.find(orders[2].request.task_id)
        assert rig.dispatcher.place_of(waiting) == (1, 4000)
        started = frames_of(waiting)
        assert not started
        rig.attach(waiting)
        assert frames_of(waiting)[0].data.items() >= {"queue_position": 1, "predicted_start_ms": 4000}.items()


@pytest.mark.req("OC-CTRL-2010b")
async def test_the_same_task_again_is_answered_as_before(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        order = new_order(task_id=ID, digest=b"one")
        before = rig.dispatcher.admit(order)
        assert rig.dispatcher.admit(order) == before
        task = rig.dispatcher.find(TaskId(ID))
        await task.closed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert rig.dispatcher.admit(order) == before  # also when it is over
        envelope = refused(rig, new_order(task_id=ID, digest=b"two"))
        assert envelope.code is Code.INVALID_PARAMS
        assert envelope.message.startswith("task_id: ")
        assert len(rig.adapters[0].requests) == 1
        assert rig.metric("tasks_enqueued_total") == 1


@pytest.mark.req("OC-CTRL-2011", "OC-CTRL-2011a", "OC-CTRL-2011b", "OC-CORE-1004")
async def test_a_full_queue_refuses_with_a_computed_wait(autojump_clock: Clock) -> None:
    async with open_rig(busy(), queue={"capacity": 1}) as rig:
        rig.admit(new_order(deadline_ms=10**6))
        rig.admit(new_order(deadline_ms=10**6))
        await trio.sleep(0.5)
        data = refused(rig).data
        assert data["code"] == "ADMISSION_REJECT"
        assert (data["policy_label"], data["retriable"], data["retry_after_ms"]) == ("reject", True, 1500)
        assert (data["engine"], data["pool_id"]) == ("scripted", "p")
        await trio.sleep(60)
        assert refused(rig, new_order(deadline_ms=10**6)).data["retry_after_ms"] == 1  # overdue: any moment now
        assert rig.metric("admission_backpressure_events_total", policy="reject") == 2
        assert rig.metric("tasks_rejected_total", reason="ADMISSION_REJECT") == 2


@pytest.mark.req("OC-CORE-1004", "OC-CORE-1004a")
async def test_a_task_that_is_dropped_for_a_newer_one_gets_its_error_frame(autojump_clock: Clock) -> None:
    async with open_rig(busy(), queue={"capacity": 1, "policy": "drop-lru"}) as rig:
        rig.admit()
        victim = rig.admit(new_order(priority=Priority.BATCH))
        newcomer = rig.admit()
        frames = await rig.read(victim)
        assert [seen.event for seen in frames] == ["started", "error"]
        assert frames[-1].data["code"] == "QUEUE_FULL_DROP_LRU"
        assert frames[-1].data["retriable"] is True
        assert frames[-1].data["retry_after_ms"] == 2000
        assert victim.state is TaskState.FAILED
        assert newcomer.task_id in rig.pool.queue
        await trio.testing.wait_all_tasks_blocked()
        assert rig.metric("queue_depth") == 1
        assert rig.metric("tasks_started_total") == 1


@pytest.mark.req("OC-CORE-1004")
async def test_batch_gives_way_to_interactive_and_not_the_other_way(autojump_clock: Clock) -> None:
    async with open_rig(busy(), queue={"capacity": 1, "policy": "shed-low-priority"}) as rig:
        rig.admit()
        batch = rig.admit(new_order(priority=Priority.BATCH))
        assert refused(rig, new_order(priority=Priority.BATCH)).code is Code.QUEUE_FULL_DROP_LRU
        rig.admit()
        assert (await rig.read(batch))[-1].data["code"] == "QUEUE_FULL_DROP_LRU"
        assert refused(rig).data["policy_label"] == "shed-low-priority"


@pytest.mark.req("OC-CTRL-2010e")
async def test_a_deadline_that_cannot_be_met_is_refused(autojump_clock: Clock) -> None:
    async with open_rig(busy()) as rig:
        rig.admit()
        envelope = refused(rig, new_order(deadline_ms=2000))
        assert envelope.code is Code.DEADLINE_UNMET
        assert "deadline_ms: 2000" in envelope.message
        rig.admit(new_order(deadline_ms=2001))


@pytest.mark.req("OC-CTRL-2010e", "OC-CORE-1002")
async def test_the_start_of_an_interactive_task_is_not_predicted_behind_batch(autojump_clock: Clock) -> None:
    """It goes first, so that the batch in the queue says nothing about its deadline."""
    async with open_rig(busy()) as rig:
        rig.admit()
        for _ in range(5):
            rig.admit(new_order(priority=Priority.BATCH))
        assert refused(rig, new_order(priority=Priority.BATCH, deadline_ms=5000)).code is Code.DEADLINE_UNMET
        assert rig.admit(new_order(deadline_ms=5000)).admission["predicted_start_ms"] == 2000


@pytest.mark.req("ORCH-3038b", "OC-CTRL-2014", "OC-CTRL-2031")
async def test_what_placement_refuses_is_told_and_counted(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        assert refused(rig, new_order(engine="vllm")).code is Code.POOL_UNAVAILABLE
        assert refused(rig, new_order(workload=Workload.RERANK)).code is Code.INVALID_PARAMS
        pin = Placement(mode=PlacementMode.PIN, pin_pool_id=PoolId("q"))
        assert refused(rig, new_order(placement=pin)).code is Code.INVALID_PARAMS
        assert refused(rig, replace(new_order(), ctx=4097)).code is Code.INVALID_PARAMS
        rig.pool.draining = True
        assert refused(rig).code is Code.POOL_UNREADY
        rig.pool.draining = False
        rig.adapters[0].health_report = WorkerHealth(live=True, ready=False, detail="loading model")
        replica = next(iter(rig.pool.replicas.values()))
        await rig.prober.look(rig.pool, replica)
        envelope = refused(rig)
        assert (envelope.code, envelope.retry_after_ms) == (Code.POOL_UNREADY, 1000)
        assert rig.metric("placement_decisions_total", outcome="refused") == 6
        assert rig.metric("tasks_rejected_total") == 6
        assert rig.metric("tasks_enqueued_total") == 0
        assert len(rig.history) == 0


async def test_engines_that_clients_make_up_do_not_push_real_ones_out_of_the_metrics(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        for made_up in range(40):
            refused(rig, new_order(engine=f"engine-{made_up}"))
        await rig.read(rig.admit())
        assert rig.metric("tasks_enqueued_total", engine="scripted") == 1


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


@pytest.mark.req("ORCH-3031", "ORCH-3031a")
async def test_a_drain_refuses_new_work_and_lets_admitted_work_end(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", gap_s=1.0)])) as rig:
        tasks = [rig.admit(), rig.admit()]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.dispatcher.drain, 10.0)
            await trio.sleep(0.5)
            assert refused(rig).code is Code.POOL_UNREADY
        assert trio.current_time() == 2.0
        assert [task.state for task in tasks] == [TaskState.ENDED] * 2


@pytest.mark.req("ORCH-3031a", "ORCH-3031b")
async def test_a_drain_cancels_at_its_deadline(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()]], linger_s=1000.0)
    async with open_rig(adapter) as rig:
        tasks = [rig.admit(), rig.admit()]
        await rig.dispatcher.drain(2.0)
        assert trio.current_time() == 2.0  # a hung engine holds nobody back
        assert {task.cancel_reason for task in tasks} == {CancelReason.SHUTDOWN}
        assert all(kinds(task)[-1] == "end" for task in tasks)
        assert not adapter.live


@pytest.mark.req("ORCH-3031")
async def test_an_idle_drain_ends_at_once(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        await rig.read(rig.admit())
        await trio.testing.wait_all_tasks_blocked()
        await rig.dispatcher.drain(10.0)
        assert trio.current_time() == 0.0


@pytest.mark.req("ORCH-3031c")
async def test_a_drain_can_be_cut_short(autojump_clock: Clock) -> None:
    async with open_rig(busy()) as rig:
        task = rig.admit()
        with trio.move_on_after(1):
            await rig.dispatcher.drain(100.0)
        await rig.dispatcher.drain(0)
        assert trio.current_time() == 1.0
        assert task.cancel_reason is CancelReason.SHUTDOWN


@pytest.mark.req("ORCH-3031b", "SSE-1003")
async def test_whoever_still_reads_gets_the_terminal_frame_of_a_hard_stop(autojump_clock: Clock) -> None:
    async with open_rig(busy(2)) as rig:
        tasks = [rig.admit(), rig.admit()]
        readers = [rig.attach(task) for task in tasks]
        await trio.sleep(1)
    for task, reader in zip(tasks, readers, strict=True):
        frames = decode(await reader.next_batch() or b"")
        assert [seen.event for seen in frames] == ["started", "end"]
        assert task.cancel_reason is CancelReason.SHUTDOWN
    assert rig.dispatcher.pools[POOL].active_leases == 0
    assert rig.history.live == []
