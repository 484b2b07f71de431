"""Submit, rebind, drain and cancel in a thousand orders: nothing is lost and nothing is mixed.

Every schedule is drawn from a seed and played on virtual time, at ticks that coincide often. Each adapter marks what it
says with its own name and the task's, so a token in the wrong stream, or from an adapter that was closed, is seen.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import End, PoolUnavailable, ReplicaId, Started, Token, WorkerReset
from adapter_host import bound
from conformance.schedule import seeded
from orchestratord.core.task import TaskState
from orchestratord.errors import Code, Refused
from tests.support.scripted import CHECKPOINTS, TICK, Script, ScriptedAdapter, perform
from tests.support.service_rig import POOL, frames_of, open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from adapter_api import TaskRequest, TokenEvent
    from orchestratord.runtime.task import Task
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig

SCHEDULES = 1000
AT_A_TIME = 50
REPLICAS = 2
TOKENS = 3
HUNG_S = 600


@dataclass(eq=False, slots=True, kw_only=True)
class Marking(ScriptedAdapter):
    """Says its own name and the task's in every token, and refuses to work once it is closed."""

    name: str = ""
    draw: random.Random = field(default_factory=random.Random)
    is_closed: bool = False
    served: int = 0

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
        assert not self.is_closed, "a stream began on an adapter that was closed"
        self.served += 1
        try:
            yield Script(self._steps(request))
            for pause in [0.0, TICK][: self.draw.randrange(3)]:
                with trio.CancelScope(shield=True):
                    await trio.sleep(pause)
        finally:
            assert not self.is_closed, "an adapter was closed under a stream"
            self.served -= 1

    def _steps(self, request: TaskRequest) -> list[Step]:
        texts = [f"{request.task_id}@{self.name}" for _ in range(TOKENS)]
        steps: list[Step] = [self._wait(), Started(engine_version=self.version)]
        for at, text in enumerate(texts):
            steps += [self._wait(), Token(text, at)]
        steps.append(End(tokens_out=TOKENS, decode_time_ms=1))
        if self.draw.random() < 0.25:
            steps.insert(
                self.draw.randrange(len(steps)), self.draw.choice([WorkerReset("cut"), PoolUnavailable("busy")])
            )
        return steps

    def _wait(self) -> Step:
        waits: list[Step] = [0.0, TICK, 2 * TICK, CHECKPOINTS(1), CHECKPOINTS(3)]
        return self.draw.choice(waits)


@asynccontextmanager
async def opened(adapter: Marking) -> AsyncGenerator[Marking, None]:
    try:
        yield adapter
    finally:
        adapter.is_closed = True


class Schedule:
    """One run: what is drawn, what was admitted and which adapters there were."""

    def __init__(self, seed: int, rig: Rig, nursery: trio.Nursery) -> None:
        self.draw = random.Random(seed)
        self.rig = rig
        self.nursery = nursery
        self.tasks: list[Task] = []
        self.refused: list[Code] = []
        self.adapters: list[Marking] = []
        self.is_over = False
        self.leave: dict[ReplicaId, trio.Event] = {}
        self.steps: dict[str, Callable[[], None]] = {
            "submit": self.submit,
            "cancel": self.cancel,
            "rebind": self.rebind,
            "unbind": self.unbind,
            "drain": self.drain,
        }

    async def play(self) -> None:
        for replica_id in self.rig.pool.replicas:
            await self.bind(replica_id)
        for _ in range(20):
            weights = [8, 4, 3, 1, 8 if self.rig.pool.draining else 1]
            self.steps[self.draw.choices(list(self.steps), weights)[0]]()
            await self._pause()
        self.rig.pool.draining = False
        await self.rig.dispatcher.drain(self.draw.choice([0.0, 60.0]))
        self.is_over = True
        for event in self.leave.values():
            event.set()

    async def _pause(self) -> None:
        pauses: list[float | CHECKPOINTS] = [0.0, TICK, 3 * TICK, CHECKPOINTS(2)]
        await perform(self.draw.choice(pauses))

    def submit(self) -> None:
        try:
            self.tasks.append(self.rig.admit())
        except Refused as refused:
            self.refused.append(refused.envelope.code)

    def cancel(self) -> None:
        if self.tasks:
            self.nursery.start_soon(self.rig.dispatcher.cancel, self.draw.choice(self.tasks).task_id)

    def rebind(self) -> None:
        self.nursery.start_soon(self.bind, self.draw.choice(list(self.leave)))

    def unbind(self) -> None:
        """Take a replica away; nothing is bound there until the next rebind, or for a while."""
        replica_id = self.draw.choice(list(self.leave))
        self.leave[replica_id].set()
        self.nursery.start_soon(self._bind_later, replica_id)

    async def _bind_later(self, replica_id: ReplicaId) -> None:
        await trio.sleep(4 * TICK)
        await self.bind(replica_id)

    def drain(self) -> None:
        self.rig.pool.draining = not self.rig.pool.draining

    async def bind(self, replica_id: ReplicaId) -> None:
        """Enter a new binding, and let the old one, which has a task of its own, be left."""
        adapter = Marking(name=f"{replica_id}-{len(self.adapters)}", draw=self.draw, slots=2, tells_slots=False)
        self.adapters.append(adapter)
        leave = trio.Event()
        await self.nursery.start(self._keep, replica_id, adapter, leave)
        if (before := self.leave.get(replica_id)) is not None:
            before.set()
        self.leave[replica_id] = leave
        if self.is_over:
            leave.set()
        self.rig.pool.replicas[replica_id].doubt()

    async def _keep(
        self, replica_id: ReplicaId, adapter: Marking, leave: trio.Event, task_status: trio.TaskStatus[None]
    ) -> None:
        async with bound(self.rig.host, POOL, replica_id, "scripted", opened(adapter)):
            task_status.started()
            await leave.wait()


async def play(seed: int) -> Schedule:
    """Play one schedule to its end, in which every binding is left and everything closed."""
    pool = {"retry": {"base_ms": 1, "cap_ms": 2}, "breaker": {"failures": 4, "open_ms": 3}, "slot_release_grace_ms": 5}
    adapters = [ScriptedAdapter(slots=2, tells_slots=False) for _ in range(REPLICAS)]
    async with open_rig(*adapters, pool=pool, queue={"capacity": 6}) as rig:
        async with trio.open_nursery() as nursery:
            schedule = Schedule(seed, rig, nursery)
            await schedule.play()
        await trio.sleep(1)
        assert_nothing_left(schedule)
    return schedule


async def play_bounded(seed: int) -> Schedule:
    with trio.fail_after(HUNG_S):  # virtual time; what hangs is an error and not a test that never ends
        return await play(seed)


def assert_nothing_left(schedule: Schedule) -> None:
    rig = schedule.rig
    assert (len(rig.pool.queue), rig.pool.active_leases, rig.pool._moving, rig.pool._waiting) == (0, 0, {}, {})
    assert len(rig.host._streams) == 0
    assert rig.host._stops == {}
    assert rig.history.live == []
    for adapter in schedule.adapters:
        assert adapter.is_closed
        assert adapter.served == 0
    for task in schedule.tasks:
        assert_whole(task)
    assert rig.metric("tasks_enqueued_total") == len(schedule.tasks)
    canceled = [task for task in schedule.tasks if task.state is TaskState.CANCELED]
    assert rig.metric("tasks_canceled_total") == len(canceled)
    assert not [line for line in rig.lines() if line["event"] == "internal"]


def assert_whole(task: Task) -> None:
    """One beginning and one end; every token is the task's own, from one adapter, and none is missing."""
    frames = frames_of(task)
    kinds = [seen.event for seen in frames if seen.event != "metrics"]
    assert kinds[0] == "started"
    assert kinds.count("started") == 1
    assert [kind for kind in kinds if kind in {"end", "error"}] == [kinds[-1]]
    tokens = [seen.data for seen in frames if seen.event == "token"]
    assert [token["i"] for token in tokens] == list(range(len(tokens)))
    said = {str(token["t"]) for token in tokens}
    assert len(said) <= 1
    assert all(text.startswith(f"{task.task_id}@") for text in said)
    assert task.state.is_final
    if task.state is TaskState.ENDED:
        assert len(tokens) == TOKENS


@pytest.mark.req("AH-1001a", "AH-1001b", "AH-1001c", "AH-1004b", "ORCH-3602g", "OC-CORE-1006", "ORCH-3031")
@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_A_TIME))
def test_no_schedule_loses_or_mixes_anything(first: int) -> None:
    ends: set[TaskState] = set()
    retries = 0.0
    for seed in range(first, first + AT_A_TIME):
        clock = trio.testing.MockClock(autojump_threshold=0)
        try:
            with seeded(seed):
                schedule = trio.run(play_bounded, seed, clock=clock)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        ends |= {task.state for task in schedule.tasks}
        retries += schedule.rig.metric("adapter_retries_total")
    assert retries
    assert ends == {TaskState.ENDED, TaskState.FAILED, TaskState.CANCELED}  # the schedules reach every outcome
