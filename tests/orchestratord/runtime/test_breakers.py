"""Replicas that fail everything, seen from the queue: who is turned away, who is let through, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import ReplicaId, Started, Token, WorkerHealth, WorkerReset
from orchestratord.core.task import TaskState
from orchestratord.errors import Code, Refused
from tests.support.scripted import READY, ScriptedAdapter, answer
from tests.support.service_rig import frames_of, new_order, open_rig

if TYPE_CHECKING:
    from orchestratord.errors import ErrorEnvelope
    from orchestratord.runtime.task import Task
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig

Clock = trio.testing.MockClock
R0 = ReplicaId("r0")
GONE = WorkerHealth(live=False, ready=False, detail="connection refused")
DOWN: list[Step] = [Started(), WorkerReset("cut")]
BREAKER = {"breaker": {"failures": 3, "open_ms": 8000, "cap_ms": 16_000}, "retry": {"base_ms": 0}}


async def fail(rig: Rig, times: int) -> None:
    for _ in range(times):
        await rig.admit().closed.wait()
        await trio.testing.wait_all_tasks_blocked()


def refused(rig: Rig) -> ErrorEnvelope:
    with pytest.raises(Refused) as caught:
        rig.admit()
    return caught.value.envelope


def error_of(task: Task) -> dict[str, object]:
    frame = frames_of(task)[-1]
    assert frame.event == "error"
    return frame.data


@pytest.mark.req("ORCH-3602k", "OC-CTRL-2031", "OC-CORE-1010")
async def test_while_every_replica_is_left_alone_a_task_is_refused_at_once_with_the_time_to_wait(
    autojump_clock: Clock,
) -> None:
    async with open_rig(ScriptedAdapter(streams=[DOWN]), pool=BREAKER) as rig:
        await fail(rig, 3)
        assert not rig.pool.is_ready
        envelope = refused(rig)
        assert (envelope.code, envelope.retry_after_ms) == (Code.POOL_UNAVAILABLE, 8000)
        assert envelope.data["retriable"] is True
        await trio.sleep(3)
        assert refused(rig).retry_after_ms == 5000
        assert len(rig.adapters[0].requests) == 3


@pytest.mark.req("ORCH-3602k")
async def test_what_waits_when_the_last_breaker_opens_is_told_the_same(autojump_clock: Clock) -> None:
    slow: list[Step] = [Started(), 1.0, WorkerReset("cut")]
    async with open_rig(ScriptedAdapter(streams=[DOWN, DOWN, slow], linger_s=2.0), pool=BREAKER) as rig:
        await fail(rig, 2)
        await trio.sleep(4)
        rig.admit()
        waiting = [rig.admit(new_order(deadline_ms=600_000)) for _ in range(3)]
        began_at = trio.current_time()
        for task in waiting:
            await task.closed.wait()
        assert trio.current_time() == began_at + 1.0
        for task in waiting:
            assert (error_of(task)["code"], error_of(task)["retry_after_ms"]) == ("POOL_UNAVAILABLE", 8000)
            assert task.state is TaskState.FAILED
        assert len(rig.pool.queue) == 0
        assert len(rig.adapters[0].requests) == 3


@pytest.mark.req("ORCH-3602j")
async def test_one_task_tries_it_and_its_first_token_lets_the_rest_through(autojump_clock: Clock) -> None:
    probe: list[Step] = [Started(), 1.0, Token("a", 0), trio.Event()]
    adapter = ScriptedAdapter(streams=[DOWN] * 3 + [probe, answer("b")], slots=4)
    async with open_rig(adapter, pool=BREAKER) as rig:
        await fail(rig, 3)
        await trio.sleep(8)
        first, *others = [rig.admit() for _ in range(3)]
        await trio.sleep(0.5)
        assert first.lease is not None
        assert [task.lease for task in others] == [None, None]
        with trio.fail_after(0.75):
            for task in others:
                await task.closed.wait()
        assert {task.state for task in others} == {TaskState.ENDED}
        assert first.state is TaskState.RUNNING


@pytest.mark.req("ORCH-3602j", "ORCH-3602k")
async def test_a_probe_that_fails_turns_the_others_away_and_doubles_the_wait(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[DOWN] * 3 + [[1.0, *DOWN]]), pool=BREAKER) as rig:
        await fail(rig, 3)
        await trio.sleep(8)
        probe, waiting = rig.admit(), rig.admit()
        await waiting.closed.wait()
        assert error_of(probe)["code"] == "WORKER_RESET"
        assert (error_of(waiting)["code"], error_of(waiting)["retry_after_ms"]) == ("POOL_UNAVAILABLE", 16_000)


@pytest.mark.req("ORCH-3602j")
@pytest.mark.parametrize("when", ["granted", "submitted"])
async def test_a_probe_that_is_cancelled_makes_way(autojump_clock: Clock, when: str) -> None:
    hung: list[list[Step]] = [[Started(), trio.Event()]]
    adapter = ScriptedAdapter(streams=[*[DOWN] * 3, *hung * (when == "submitted"), answer("a")])
    async with open_rig(adapter, pool=BREAKER) as rig:
        await fail(rig, 3)
        await trio.sleep(8)
        probe = rig.admit()
        if when == "submitted":
            await trio.testing.wait_all_tasks_blocked()
        await rig.dispatcher.cancel(probe.task_id)
        following = rig.admit()
        await following.closed.wait()
        assert following.state is TaskState.ENDED


@pytest.mark.req("ORCH-3602a", "ORCH-3602h")
async def test_a_bad_replica_among_good_ones_costs_no_task_and_is_then_left_alone(autojump_clock: Clock) -> None:
    bad, good = ScriptedAdapter(streams=[DOWN]), ScriptedAdapter(streams=[answer("a")])
    async with open_rig(bad, good, pool=BREAKER) as rig:
        for _ in range(12):
            task = rig.admit()
            await task.closed.wait()
            await trio.testing.wait_all_tasks_blocked()
            assert task.state is TaskState.ENDED
        assert len(bad.requests) == 3
        assert rig.pool.is_ready
        assert rig.pool.replicas[R0].why == "left alone after failures, for 8000 ms"


@pytest.mark.req("ORCH-3602l", "ORCH-3038")
async def test_an_engine_that_comes_back_is_let_through_to_at_once(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[DOWN] * 3 + [answer("a")])
    async with open_rig(adapter, pool={**BREAKER, "health": {"failures": 1}}) as rig:
        replica = rig.pool.replicas[R0]
        await fail(rig, 3)
        adapter.health_report = GONE
        await rig.prober.look(rig.pool, replica)
        assert refused(rig).code is Code.POOL_UNREADY  # it is not there, which says more than that it failed
        adapter.health_report = READY
        await rig.prober.look(rig.pool, replica)
        task = rig.admit()
        await task.closed.wait()
        assert task.state is TaskState.ENDED


@pytest.mark.req("ORCH-3602j")
async def test_a_task_that_waits_beside_a_replica_gets_it_when_its_wait_is_over(autojump_clock: Clock) -> None:
    bad = ScriptedAdapter(streams=[DOWN] * 3 + [answer("a")])
    busy = ScriptedAdapter(streams=[[Started(), trio.Event()]])
    async with open_rig(bad, busy, pool={**BREAKER, "probe_interval_ms": 60_000, "retry": {"attempts": 1}}) as rig:
        for replica in rig.pool.replicas.values():
            rig.nursery.start_soon(rig.prober.watch, rig.pool, replica)
        await trio.sleep(1)
        await fail(rig, 3)
        rig.admit()
        waiting = rig.admit()
        await waiting.closed.wait()
        assert waiting.state is TaskState.ENDED
        assert trio.current_time() <= 10.0


@pytest.mark.req("OC-METRICS-7101", "OC-CTRL-2051", "ORCH-3604")
async def test_changes_are_counted_and_logged(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[DOWN] * 3 + [answer("a")]), pool=BREAKER) as rig:
        await fail(rig, 3)
        await trio.sleep(8)
        await rig.admit().closed.wait()
        for state in ("open", "half_open", "closed"):
            assert rig.metric("adapter_breaker_transitions_total", pool_id="p", replica_id="r0", state=state) == 1
        told = [line for line in rig.lines() if line["event"] == "breaker"]
        assert [line["state"] for line in told] == ["open", "half_open", "closed"]
        assert {line["actor"] for line in told} == {"adapter-host"}
