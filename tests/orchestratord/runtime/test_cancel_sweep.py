"""A task run is cut at every step it takes, in every way there is, and each time everything is found in its place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import Metrics, Started, Token, WorkerReset
from orchestratord.core.queue import Priority
from orchestratord.core.task import CancelReason, TaskState
from tests.support.cancel_sweep import sweep
from tests.support.scripted import CHECKPOINTS, ScriptedAdapter, answer
from tests.support.service_rig import decode, frames_of, metric, new_order, open_rig

if TYPE_CHECKING:
    from orchestratord.runtime.task import Task
    from tests.support.cancel_sweep import Arm
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig, Seen

Clock = trio.testing.MockClock
RUNS = "task in "
SCRIPT: list[Step] = [
    0.25,
    Started(seed=1),
    Token("a", 0),
    CHECKPOINTS(2),
    Metrics({"n": 1}),
    *[Token("x", at) for at in range(1, 4)],
    0.5,
    *answer(*"x" * 5)[5:],
]


def engine() -> ScriptedAdapter:
    return ScriptedAdapter(streams=[SCRIPT], entry=[0.125, CHECKPOINTS(1)], exit=[CHECKPOINTS(1)], linger_s=0.25)


def by_cancel(rig: Rig, victim: Task) -> None:
    rig.dispatcher._stop(victim, CancelReason.CLIENT)


def by_shutdown(rig: Rig, victim: Task) -> None:
    rig.nursery.cancel_scope.cancel()


def by_failure(rig: Rig, victim: Task) -> None:
    for script in rig.adapters[0].scripts.values():
        script.fail(WorkerReset("the engine died"))


def by_deadline(rig: Rig, victim: Task) -> None:
    victim.scope.deadline = trio.current_time()


STREAM = {"channel_cap": 2, "metrics_period_ms": 10, "narration": True, "narration_period_ms": 100}
WAYS = {"cancel": by_cancel, "shutdown": by_shutdown, "adapter failure": by_failure, "deadline": by_deadline}


class Client:
    """Reads a task's stream at its own pace and remembers what it took, and when."""

    def __init__(self, rig: Rig, task: Task) -> None:
        self.rig = rig
        self.task = task
        self.seen: list[Seen] = []

    async def read(self) -> None:
        reader = self.rig.attach(self.task)
        try:
            while (batch := await reader.next_batch()) is not None:
                self.seen += decode(batch)
                await trio.sleep(0.0625)
        finally:
            self.rig.dispatcher.detach(self.task, reader)


@pytest.mark.req("OC-CTRL-2012", "OC-CORE-1006", "SSE-1003", "OC-CTRL-2027", "OC-CTRL-2051", "SSE-1002f")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("victim_at", [0, 1, 2], ids=["running", "next", "last"])
async def test_every_cut_leaves_everything_in_its_place(autojump_clock: Clock, way: str, victim_at: int) -> None:
    baseline = trio.lowlevel.current_statistics().tasks_living

    async def work(arm: Arm) -> None:
        tasks: list[Task] = []
        clients: list[Client] = []
        async with open_rig(engine(), stream=STREAM) as rig:
            tasks += [rig.admit(), rig.admit(), rig.admit(new_order(priority=Priority.BATCH))]
            knife = arm(lambda: WAYS[way](rig, tasks[victim_at]))
            async with trio.open_nursery() as nursery:
                for task in tasks:
                    clients.append(Client(rig, task))
                    nursery.start_soon(clients[-1].read)
            while rig.history.live:  # noqa: ASYNC110 - runs wait for their slots' release, each in its own time
                await trio.sleep(0.25)
            _assert_served(rig, tasks, knife_fell=knife.fell, way=way)
            knife.put_away()
            tasks.append(rig.admit())  # the slot is free: one more goes through
            await tasks[-1].closed.wait()
            await trio.testing.wait_all_tasks_blocked()
            assert tasks[-1].state is TaskState.ENDED
        _assert_in_place(rig, tasks)
        for client in clients:
            _assert_stream(client.seen, client.task, is_cut_short=way == "shutdown")
        assert trio.lowlevel.current_statistics().tasks_living == baseline

    assert await sweep(RUNS, work) > 20


def _assert_served(rig: Rig, tasks: list[Task], *, knife_fell: bool, way: str) -> None:
    ended = [task for task in tasks if task.state is TaskState.ENDED]
    if not knife_fell:
        assert ended == tasks
    assert len(ended) >= len(tasks) - 1  # nobody but the victim was touched
    for task in tasks:
        if task.error is not None:
            assert (way, task.error.code) == ("adapter failure", "WORKER_RESET")


def _assert_in_place(rig: Rig, tasks: list[Task]) -> None:
    adapter = rig.adapters[0]
    assert not adapter.live
    assert len(rig.host._streams) == 0
    assert rig.history.live == []
    assert len(rig.history) == len(tasks)
    assert (len(rig.pool.queue), rig.pool.active_leases, rig.pool.free) == (0, 0, 1)
    assert rig.pool._waiting == {}
    for task in tasks:
        assert task.closed.is_set()
        assert task.log.reader_count == 0
        _assert_frames(frames_of(task), task)
    _assert_figures(rig, tasks)


def _assert_frames(frames: list[Seen], task: Task) -> None:
    kinds = [seen.event for seen in frames]
    assert [seen.id for seen in frames] == list(range(1, len(frames) + 1))
    assert kinds[0] == "started"
    assert kinds.count("started") == 1
    assert [kind for kind in kinds if kind in {"end", "error"}] == [kinds[-1]]
    assert [seen.data["i"] for seen in frames if seen.event == "token"] == list(range(task.tokens))
    assert (kinds[-1] == "error") == (task.state is TaskState.FAILED)
    assert frames[-1].data.get("canceled", False) == (task.state is TaskState.CANCELED)


def _assert_stream(seen: list[Seen], task: Task, *, is_cut_short: bool) -> None:
    """What one client read: a beginning of the log, and its end; all of it unless the task was canceled.

    A shutdown may end the client as well, wherever it is.
    """
    whole = frames_of(task)
    if not seen:  # the cut came before the client did
        return
    assert seen[0] == whole[0]
    sealed_at = task.log.sealed_at if task.state is TaskState.CANCELED else len(whole)
    taken = [frame for frame in seen if frame.id <= sealed_at]
    assert taken == whole[: len(taken)]
    if not is_cut_short:
        assert seen[len(taken) :] == whole[sealed_at:]
        assert len(taken) == sealed_at or task.state is TaskState.CANCELED


def _assert_figures(rig: Rig, tasks: list[Task]) -> None:
    """Counters and gauges say what happened, and agree with each other."""
    states = [task.state for task in tasks]
    count = partial(metric, rig.samples())
    begun = sum(task.begun for task in tasks)
    assert count("tasks_enqueued_total") == len(tasks)
    assert count("tasks_started_total") == begun == len(rig.adapters[0].requests)
    assert count("tasks_canceled_total") == states.count(TaskState.CANCELED)
    assert count("latency_decode_ms_count") == states.count(TaskState.ENDED)
    failed = [line for line in rig.lines() if line["event"] == "error" and line["actor"] == "orchestratord"]
    assert len(failed) == states.count(TaskState.FAILED)
    assert not [line for line in rig.lines() if line["event"] == "internal"]
    assert count("latency_first_token_ms_count") == sum(task.first_token_at is not None for task in tasks)
    assert (count("queue_depth"), count("active_leases")) == (0, 0)
    ends = [task.end for task in tasks if task.end is not None]
    assert count("tokens_out_total") == sum(end.tokens_out for end in ends)
