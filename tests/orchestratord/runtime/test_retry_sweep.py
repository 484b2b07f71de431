"""A task on its way between replicas is cut at every step, and no slot, seat, trial or stream stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import Metrics, Started, WorkerReset
from adapter_host import BreakerState
from orchestratord.core.task import CancelReason, TaskState
from tests.support.cancel_sweep import sweep
from tests.support.scripted import CHECKPOINTS, ScriptedAdapter, answer
from tests.support.service_rig import frames_of, open_rig

from .support import assert_one_terminal

if TYPE_CHECKING:
    from orchestratord.runtime.task import Task
    from tests.support.cancel_sweep import Arm
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig

Clock = trio.testing.MockClock
RUNS = "task in "
BROKEN: list[Step] = [0.25, Started(), CHECKPOINTS(1), Metrics({"n": 1}), WorkerReset("cut")]
POOL = {"retry": {"base_ms": 125, "cap_ms": 125}, "breaker": {"failures": 1, "open_ms": 500, "cap_ms": 500}}


def by_cancel(rig: Rig, victim: Task) -> None:
    rig.dispatcher._stop(victim, CancelReason.CLIENT)


def by_shutdown(rig: Rig, victim: Task) -> None:
    rig.nursery.cancel_scope.cancel()


def by_deadline(rig: Rig, victim: Task) -> None:
    victim.scope.deadline = trio.current_time()


def by_outage(rig: Rig, victim: Task) -> None:
    """The replica that it could move to differs from the rest all of a sudden."""
    list(rig.pool.replicas.values())[1].misfit = "odd"
    rig.pool.pump()


WAYS = {"cancel": by_cancel, "shutdown": by_shutdown, "deadline": by_deadline, "outage": by_outage}


def adapters() -> list[ScriptedAdapter]:
    """The first fails what it gets at first, the second is busy for a while: its slot has to be waited for."""
    first = ScriptedAdapter(streams=[BROKEN, answer("late")], exit=[CHECKPOINTS(1)], linger_s=0.25)
    return [first, ScriptedAdapter(streams=[answer("x", gap_s=0.75), answer("moved", "on", gap_s=0.25)])]


@pytest.mark.req("ORCH-3602f", "ORCH-3602g", "OC-CORE-1006", "OC-CTRL-2012", "OC-CTRL-2027", "AH-1004b")
@pytest.mark.parametrize("way", WAYS)
async def test_every_cut_leaves_everything_in_its_place(autojump_clock: Clock, way: str) -> None:
    baseline = trio.lowlevel.current_statistics().tasks_living
    moved: list[bool] = []

    async def work(arm: Arm) -> None:
        tasks: list[Task] = []
        async with open_rig(*adapters(), pool=POOL) as rig:
            tasks += [rig.admit(), rig.admit(), rig.admit()]
            knife = arm(lambda: WAYS[way](rig, tasks[0]))
            while rig.history.live:  # noqa: ASYNC110 - runs wait for their slots' release, each in its own time
                await trio.sleep(0.25)
            knife.put_away()
            await trio.sleep(4)
            moved.append("moved" in [seen.data.get("t") for seen in frames_of(tasks[0])])
            if not knife.fell:
                assert {task.state for task in tasks} == {TaskState.ENDED}
        for task in tasks:
            assert_one_terminal(task)
        assert_in_place(rig)
        assert trio.lowlevel.current_statistics().tasks_living == baseline

    assert await sweep(RUNS, work) > 20
    assert moved[-1]  # uncut it gets there


def assert_in_place(rig: Rig) -> None:
    assert [len(replica.busy) for replica in rig.pool.replicas.values()] == [0, 0]
    assert (len(rig.pool.queue), rig.pool._moving, rig.pool._waiting) == (0, {}, {})
    assert (len(rig.host._streams), rig.host._stops, rig.history.live) == (0, {}, [])
    assert not any(adapter.live for adapter in rig.adapters)
    for replica in rig.pool.replicas.values():
        breaker = replica.breaker
        breaker.end_wait()
        assert breaker.room == (None if breaker.state is BreakerState.CLOSED else 1)  # no probe is out for ever
    assert not [line for line in rig.lines() if line["event"] == "internal"]
