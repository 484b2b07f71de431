"""Admission and the drain."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing

from adapter_api import PoolId, Started, TaskId, WorkerHealth, Workload
from orchestratord.core.placement import Placement, PlacementMode
from orchestratord.core.queue import Priority
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.errors import Code
from tests.support.scripted import ScriptedAdapter, answer
from tests.support.service_rig import POOL, decode, frames_of, new_order, open_rig

from .support import busy, kinds, refused

Clock = trio.testing.MockClock
ID = "6f1c2a54-9d0e-4a53-8f7e-1f0b7d3c2a10"


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
