"""A task on its way from replica to replica: its frames, its slots, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import PoolUnavailable, ReplicaId, Started, Token, WorkerHealth, WorkerReset
from orchestratord.core.task import TaskState
from tests.support.scripted import ScriptedAdapter, answer
from tests.support.service_rig import POOL, frames_of, new_order, open_rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import WorkerError
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig, Seen

Clock = trio.testing.MockClock
R0, R1 = ReplicaId("r0"), ReplicaId("r1")
PENDING = WorkerHealth(live=True, ready=False, detail="loading model")
RETRY = {"base_ms": 0, "cap_ms": 60_000}


def failing(error: WorkerError, *before: Step) -> ScriptedAdapter:
    return ScriptedAdapter(streams=[[*before, error]])


def texts(frames: Sequence[Seen]) -> list[object]:
    return [seen.data["t"] for seen in frames if seen.event == "token"]


def leases(rig: Rig) -> list[int]:
    return [len(replica.busy) for replica in rig.pool.replicas.values()]


@pytest.mark.req("ORCH-3602", "ORCH-3602a", "OC-CTRL-2051", "OC-CTRL-2027")
async def test_a_client_sees_one_stream_whoever_serves_it(autojump_clock: Clock) -> None:
    first = failing(WorkerReset("cut"), 1.0, Started(engine_version="1.0"))
    async with open_rig(first, ScriptedAdapter(streams=[answer("b")]), pool={"retry": RETRY}) as rig:
        task = rig.admit()
        frames = await rig.read(task)
        await trio.sleep(4)
        assert [seen.event for seen in frames if seen.event != "metrics"] == ["started", "token", "end"]
        assert [seen.id for seen in frames] == list(range(1, len(frames) + 1))
        assert frames[0].data["replica_id"] == "r0"
        assert {"replica_id": "r1"} in [seen.data for seen in frames if seen.event == "metrics"]
        assert task.state is TaskState.ENDED
        assert rig.pool.replicas[R0].suspect.is_set()
        assert leases(rig) == [0, 0]
        assert rig.metric("adapter_retries_total", engine="scripted", pool_id="p") == 1
        assert rig.metric("tasks_started_total") == 1
        assert rig.metric("tokens_out_total", replica_id="r1") == 1
        (told,) = [line for line in rig.lines() if line["event"] == "retry"]
        assert (told["actor"], told["job_id"], told["error_kind"]) == ("adapter-host", task.task_id, "WorkerReset")


@pytest.mark.req("ORCH-3602e", "OC-CTRL-2032")
async def test_when_every_replica_has_failed_the_client_is_told_that(autojump_clock: Clock) -> None:
    adapters = [failing(PoolUnavailable("full", retry_after_ms=900)), failing(WorkerReset("cut"))]
    async with open_rig(*adapters, pool={"retry": RETRY}) as rig:
        task = rig.admit()
        error = (await rig.read(task))[-1].data
        assert (error["code"], error["retriable"], error["retry_after_ms"]) == ("REPLICA_EXHAUSTED", True, 900)
        assert error["message"] == "2 replicas failed; the last: cut"
        await trio.sleep(4)
        assert leases(rig) == [0, 0]
        assert (rig.pool.last_error or "").startswith("REPLICA_EXHAUSTED")


@pytest.mark.req("ORCH-3602")
async def test_a_task_that_has_shown_a_token_fails_where_it_is(autojump_clock: Clock) -> None:
    adapters = [failing(WorkerReset("cut"), Started(), Token("a", 0)), ScriptedAdapter()]
    async with open_rig(*adapters, pool={"retry": RETRY}) as rig:
        frames = await rig.read(rig.admit())
        assert (texts(frames), frames[-1].data["code"]) == (["a"], "WORKER_RESET")
        assert not adapters[1].requests


@pytest.mark.req("ORCH-3602g", "OC-CORE-1006")
async def test_the_slot_that_a_task_leaves_stays_busy_until_its_engine_has_let_go(autojump_clock: Clock) -> None:
    broken: list[Step] = [Started(), WorkerReset("cut"), Token("never", 0)]
    first = ScriptedAdapter(streams=[broken, answer("c")], linger_s=1.0)
    second = ScriptedAdapter(streams=[answer("b", gap_s=5.0)])
    async with open_rig(first, second, pool={"retry": RETRY}) as rig:
        moving, _, third = rig.admit(), rig.admit(), rig.admit()
        await trio.sleep(0.25)
        assert leases(rig) == [1, 1]  # the engine still works on what it has lost
        assert (moving.lease, third.lease) == (None, None)
        await trio.sleep(1.25)
        assert third.lease is not None
        assert third.lease.replica_id == R0
        await moving.closed.wait()
        assert trio.current_time() == 10.0
        assert leases(rig) == [0, 0]


@pytest.mark.req("SSE-1002g", "ORCH-3602")
async def test_the_slot_that_an_engine_has_refused_itself_is_free_at_once(autojump_clock: Clock) -> None:
    full = PoolUnavailable("HTTP 503: full", upstream_status=503)
    first = ScriptedAdapter(streams=[[full], answer("c")], tells_slots=False)
    second = ScriptedAdapter(streams=[[Started(), 10.0, Token("b", 0), 10.0]], tells_slots=False)
    async with open_rig(first, second, pool={"retry": RETRY}) as rig:
        moved = rig.admit()
        await trio.testing.wait_all_tasks_blocked()
        assert moved.lease is not None
        assert moved.lease.replica_id == R1
        assert leases(rig) == [0, 1]
        assert texts(await rig.read(rig.admit())) == ["c"]
        assert trio.current_time() == 0.0


@pytest.mark.req("ORCH-3602g", "OC-CORE-1003")
async def test_a_task_on_the_move_goes_before_those_that_wait(autojump_clock: Clock) -> None:
    first = ScriptedAdapter(streams=[[1.0, WorkerReset("cut")], [trio.Event()]], tells_slots=False)
    second = ScriptedAdapter(streams=[answer("x", gap_s=3.0), answer("moved"), answer("late")])
    async with open_rig(first, second, pool={"retry": RETRY}) as rig:
        moving, _, late = rig.admit(), rig.admit(), rig.admit()
        await trio.sleep(2)
        assert moving.lease is None
        assert moving.state is TaskState.RUNNING
        await moving.closed.wait()
        assert trio.current_time() == 3.0
        assert texts(frames_of(moving)) == ["moved"]
        assert not late.begun


@pytest.mark.req("ORCH-3602g")
async def test_two_tasks_that_want_each_others_replica_both_get_it(autojump_clock: Clock) -> None:
    adapters = [ScriptedAdapter(streams=[[1.0, WorkerReset("cut")], answer(text)]) for text in "ab"]
    async with open_rig(*adapters, pool={"retry": RETRY}) as rig:
        tasks = [rig.admit(), rig.admit()]
        for task in tasks:
            await task.closed.wait()
        assert [texts(frames_of(task)) for task in tasks] == [["b"], ["a"]]
        assert trio.current_time() == 1.0


@pytest.mark.req("ORCH-3602f", "SSE-1002b", "OC-CORE-1022")
@pytest.mark.parametrize("wait", ["pause", "slot"])
@pytest.mark.parametrize("way", ["cancel", "deadline"])
async def test_a_cancel_and_the_deadline_end_the_wait_for_another_try(
    autojump_clock: Clock, wait: str, way: str
) -> None:
    busy = ScriptedAdapter(streams=[[Started(), trio.Event()]])
    first = ScriptedAdapter(streams=[[WorkerReset("cut")], [Started(), trio.Event()]], tells_slots=False)
    retry = RETRY if wait == "slot" else {"base_ms": 60_000, "cap_ms": 60_000}
    async with open_rig(first, busy, pool={"retry": retry}) as rig:
        task = rig.admit(new_order(deadline_ms=2000))
        if wait == "slot":
            rig.admit()
        await trio.sleep(1)
        assert task.begun
        if way == "cancel":
            await rig.dispatcher.cancel(task.task_id)
            assert trio.current_time() == 1.0
            assert task.state is TaskState.CANCELED
        else:
            await task.closed.wait()
            assert trio.current_time() == 2.0
            assert frames_of(task)[-1].data["code"] == "DEADLINE_UNMET"
        await trio.sleep(4)
        assert not any(task in replica.busy for replica in rig.pool.replicas.values())
        assert rig.pool._moving == {}


@pytest.mark.req("ORCH-3602e")
async def test_a_task_on_the_move_whose_last_hope_goes_down_ends_with_its_own_error(autojump_clock: Clock) -> None:
    second = ScriptedAdapter(streams=[[Started(), trio.Event()]])
    async with open_rig(failing(WorkerReset("cut"), 1.0), second, pool={"retry": RETRY}) as rig:
        task = rig.admit()
        rig.admit()
        await trio.sleep(2)
        second.health_report = PENDING
        await rig.prober.look(rig.pool, rig.pool.replicas[R1])
        await task.closed.wait()
        assert trio.current_time() == 2.0
        assert frames_of(task)[-1].data["code"] == "WORKER_RESET"


@pytest.mark.req("ORCH-3602j", "ORCH-3602g")
async def test_a_probe_that_never_reached_its_engine_leaves_room_for_the_next(autojump_clock: Clock) -> None:
    """The replica is unbound in the moment between the grant and the engine."""
    pool = {"retry": RETRY, "breaker": {"failures": 1, "open_ms": 1000}}
    async with open_rig(failing(WorkerReset("cut")), ScriptedAdapter(), pool=pool) as rig:
        await rig.read(rig.admit())
        await trio.sleep(4)
        rig.host.unbind(rig.host._registry.replica(POOL, R0))
        task = rig.admit()
        assert task.lease is not None
        assert task.lease.replica_id == R0
        await task.closed.wait()
        assert task.state is TaskState.ENDED
        assert rig.pool.replicas[R0].breaker.room == 1
