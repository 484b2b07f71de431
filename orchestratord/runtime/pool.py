"""One pool: its queue, its replicas' slots, and the hand-over of a freed slot to the task whose turn it is.

Nothing here waits. Every change that could let a task start calls `pump`, which grants slots until either runs out; the
task itself sleeps on its own `granted` event. So there is no dispatcher loop to wake, and no moment between a free slot
and its use.

Implements: OC-CORE-1001, OC-CORE-1010, OC-CTRL-2050, ORCH-3602.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import PoolId, ReplicaId
from orchestratord.core.estimate import ServiceTime, predicted_start_ms
from orchestratord.core.hysteresis import Hysteresis
from orchestratord.core.pinning import Identity, identity_of, pin
from orchestratord.core.placement import PoolView
from orchestratord.core.queue import FullPolicy, PoolQueue, Queued, QueueFull
from orchestratord.errors import Code, ErrorEnvelope

from .replica import Replica
from .served import Served
from .task import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Set

    from adapter_api import TaskId
    from adapter_host import Breaker
    from orchestratord.config import PoolConfig
    from orchestratord.core.queue import Priority

    from .task import Task


@final
class Pool:
    """The queue and the slots of one pool; `breaker_of` gives each replica's breaker."""

    def __init__(self, config: PoolConfig, breaker_of: Callable[[ReplicaId], Breaker]) -> None:
        self.config = config
        self.pool_id = PoolId(config.id)
        self.queue = PoolQueue(config.queue.capacity, FullPolicy(config.queue.policy))
        self.replicas = {
            replica_id: Replica(
                replica_id,
                breaker_of(replica_id),
                Hysteresis(config.health.failures, config.health.successes),
                slots_override=config.concurrency,
            )
            for replica_id in (ReplicaId(replica.id) for replica in config.replicas)
        }
        self.served = Served(config, self.replicas.values())
        self.service_time = ServiceTime()
        self.draining = False
        self.last_error: str | None = None
        self._pinned = Identity()
        self._waiting: dict[TaskId, Task] = {}
        self._moving: dict[Task, frozenset[ReplicaId]] = {}
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Pool {self.pool_id} {self.queue!r} leases={self.active_leases} ready={self.is_ready}>"

    @property
    def is_ready(self) -> bool:
        """Whether a task can be taken: at least one replica takes tasks and the pool does not drain."""
        return not self.draining and any(replica.takes for replica in self.replicas.values())

    @property
    def is_live(self) -> bool:
        """Whether any engine answers."""
        return any(replica.health.live for replica in self.replicas.values())

    @property
    def shut_for_ms(self) -> int | None:
        """How long every replica that could serve is left alone after failures; None if one is not, or none could."""
        waits = [replica.breaker.wait_s for replica in self.replicas.values() if replica.serves]
        return max(1, round(1000 * min(waits))) if waits and all(waits) else None

    @property
    def active_leases(self) -> int:
        """How many slots are held."""
        return sum(len(replica.busy) for replica in self.replicas.values())

    @property
    def slots(self) -> int:
        """How many slots the replicas in rotation have."""
        return sum(replica.slots for replica in self.replicas.values() if replica.serves)

    @property
    def free(self) -> int:
        """How many slots are free."""
        return sum(replica.free for replica in self.replicas.values())

    def view(self, priority: Priority) -> PoolView:
        """Return what placement of a task of this priority needs to know at this moment."""
        return PoolView(
            pool_id=self.pool_id,
            engine=self.config.engine,
            model_refs=self.served.model_refs,
            workloads=self.served.workloads,
            ready=self.is_ready,
            draining=self.draining,
            shut_for_ms=self.shut_for_ms,
            ctx_max=self.served.ctx_max,
            max_tokens_out=self.served.max_tokens_out,
            predicted_start_ms=self.predict(self.queue.ahead_of(priority)),
        )

    def predict(self, ahead: int) -> int:
        """Return in how many milliseconds a task with `ahead` tasks before it starts."""
        now = trio.current_time()
        held = [now - since for replica in self.replicas.values() for since in replica.busy.values()]
        return predicted_start_ms(ahead, self.free, held, self.service_time.mean_s)

    def offer(self, task: Task) -> Queued | QueueFull:
        """Seat a task; the caller ends the one that was dropped for it, and then calls `pump`."""
        verdict = self.queue.offer(task.task_id, task.order.priority)
        if isinstance(verdict, Queued):
            self._waiting[task.task_id] = task
            if verdict.dropped is not None:
                del self._waiting[verdict.dropped]
        return verdict

    def place_of(self, task: Task) -> tuple[int, int]:
        """Return the task's queue position and predicted start in milliseconds; (0, 0) once it has a slot."""
        position = self.queue.position(task.task_id)
        return (0, 0) if position is None else (position, self.predict(position))

    def pump(self) -> None:
        """Grant free slots, the replica with most of them first: to tasks on the move, then to those that wait."""
        for task, tried in list(self._moving.items()):
            self._help_on(task, tried)
        self._turn_away()
        while (replica := _freest(self.replicas.values())) and (task_id := self.queue.take()):
            self._grant(self._waiting.pop(task_id), replica)
        self._changed.set()
        self._changed = trio.Event()

    def may_move(self, tried: Set[ReplicaId]) -> bool:
        """Whether a replica that is not among `tried` could take a task, now or soon."""
        return any(replica.takes for replica in self._others(tried))

    def move(self, task: Task, tried: Set[ReplicaId]) -> Replica:
        """Take the task's slot from it and give it one on a replica that was not tried, as soon as there is one.

        Returns the replica it leaves, on which the slot stays busy until `release`. `task.granted` is set again when
        the task has its new slot, or when there is no replica left for it: then it has no lease.
        """
        assert task.lease is not None
        left = self.replicas[task.lease.replica_id]
        task.lease.trial.dropped()
        task.lease = None
        task.granted = trio.Event()
        self._moving[task] = frozenset(tried)
        self.pump()
        return left

    def release(self, task: Task, replica: Replica) -> None:
        """Free the slot of a replica that the task has left."""
        replica.busy.pop(task, None)
        self.pump()

    def leave(self, task: Task) -> None:
        """Give up the task's seat or slot, whichever it has, and let the next one start."""
        self.queue.remove(task.task_id)
        self._waiting.pop(task.task_id, None)
        self._moving.pop(task, None)
        if task.lease is not None:
            task.lease.trial.dropped()
            replica = self.replicas[task.lease.replica_id]
            if replica.busy.pop(task, None) is not None:
                self.service_time.observe(trio.current_time() - task.lease.since)
        self.pump()

    def settle(self) -> list[Replica]:
        """Find the replicas that differ from the rest of the pool; return those that did not before."""
        healthy = {replica: identity_of(replica.capabilities) for replica in self._healthy()}
        self._pinned = pin(self._pinned, list(healthy.values()))
        odd = []
        for replica in self.replicas.values():
            misfit = healthy.get(replica, Identity()).differences(self._pinned)
            if misfit and misfit != replica.misfit:
                self.last_error = f"replica {replica.replica_id} is kept out: {misfit}"
                odd.append(replica)
            replica.misfit = misfit
        return odd

    async def wait_change(self) -> None:
        """Wait until the queue or the slots change."""
        await self._changed.wait()

    def _help_on(self, task: Task, tried: frozenset[ReplicaId]) -> None:
        others = [replica for replica in self._others(tried) if replica.takes]
        replica = _freest(others)
        if replica is None and others:
            return
        del self._moving[task]
        if replica is None:
            task.granted.set()
        else:
            self._grant(task, replica)

    def _grant(self, task: Task, replica: Replica) -> None:
        trial = replica.breaker.begin()
        assert trial is not None  # a replica with room was chosen
        task.lease = Lease(replica.replica_id, trio.current_time(), trial)
        replica.busy[task] = task.lease.since
        task.granted.set()

    def _turn_away(self) -> None:
        """End what waits if every replica is left alone: nobody can say that one of them will ever work again."""
        wait_ms = self.shut_for_ms
        if wait_ms is None:
            return
        envelope = self._left_alone(wait_ms)
        while task_id := self.queue.take():
            self._waiting.pop(task_id).fail(envelope)

    def _left_alone(self, wait_ms: int) -> ErrorEnvelope:
        return ErrorEnvelope(
            code=Code.POOL_UNAVAILABLE,
            message=f"every replica of pool {self.pool_id} is left alone after failures",
            engine=self.config.engine,
            pool_id=self.pool_id,
            retry_after_ms=wait_ms,
            hint=f"try again in {wait_ms} ms",
        )

    def _others(self, tried: Set[ReplicaId]) -> Iterator[Replica]:
        return (replica for replica in self.replicas.values() if replica.replica_id not in tried)

    def _healthy(self) -> Iterator[Replica]:
        return (replica for replica in self.replicas.values() if replica.health.ready)


def _freest(replicas: Iterable[Replica]) -> Replica | None:
    """Return the replica with most free slots, the first of several; None if there is no free slot."""
    best = max(replicas, key=lambda replica: replica.free, default=None)
    return best if best is not None and best.free else None
