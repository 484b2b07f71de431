"""One pool: its queue, its replicas' slots, and the hand-over of a freed slot to the task whose turn it is.

Nothing here waits. Every change that could let a task start calls `pump`, which grants slots until either runs out; the
task itself sleeps on its own `granted` event. So there is no dispatcher loop to wake, and no moment between a free slot
and its use.

Implements: OC-CORE-1001, OC-CORE-1010, OC-CTRL-2050.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import trio

from adapter_api import Capabilities, PoolId, ReplicaId, WorkerHealth, WorkerProps, Workload
from orchestratord.core.estimate import ServiceTime, predicted_start_ms
from orchestratord.core.placement import PoolView
from orchestratord.core.queue import FullPolicy, PoolQueue, Queued, QueueFull

from .task import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter_api import JsonValue, TaskId
    from orchestratord.config import PoolConfig
    from orchestratord.core.queue import Priority

    from .task import Task

UNKNOWN_HEALTH = WorkerHealth(live=False, ready=False, detail="not probed yet")


@dataclass(eq=False, slots=True)
class Replica:
    """One engine behind a pool, as the last probe saw it, and the tasks that hold its slots (task -> held since)."""

    replica_id: ReplicaId
    slots_override: int | None = None
    health: WorkerHealth = UNKNOWN_HEALTH
    props: WorkerProps = field(default_factory=WorkerProps)
    capabilities: Capabilities | None = None
    busy: dict[Task, float] = field(default_factory=dict)
    suspect: trio.Event = field(default_factory=trio.Event)

    @property
    def slots(self) -> int:
        """How many tasks may run here at once: as configured, else as the engine says, else one."""
        told = self.capabilities.concurrency if self.capabilities is not None else None
        return self.slots_override or told or self.props.slots_total or 1

    @property
    def free(self) -> int:
        """How many tasks could start here now."""
        return max(0, self.slots - len(self.busy)) if self.health.ready else 0

    def doubt(self) -> None:
        """Ask for a probe at once: a stream has just failed here."""
        self.suspect.set()


@final
class Pool:
    """The queue and the slots of one pool."""

    def __init__(self, config: PoolConfig) -> None:
        self.config = config
        self.pool_id = PoolId(config.id)
        self.queue = PoolQueue(config.queue.capacity, FullPolicy(config.queue.policy))
        self.replicas = {
            ReplicaId(replica.id): Replica(ReplicaId(replica.id), slots_override=config.concurrency)
            for replica in config.replicas
        }
        self.service_time = ServiceTime()
        self.draining = False
        self.last_error: str | None = None
        self._waiting: dict[TaskId, Task] = {}
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<Pool {self.pool_id} {self.queue!r} leases={self.active_leases} ready={self.is_ready}>"

    @property
    def is_ready(self) -> bool:
        """Whether a task can be taken: at least one replica is ready and the pool does not drain."""
        return not self.draining and any(replica.health.ready for replica in self.replicas.values())

    @property
    def is_live(self) -> bool:
        """Whether any engine answers."""
        return any(replica.health.live for replica in self.replicas.values())

    @property
    def active_leases(self) -> int:
        """How many slots are held."""
        return sum(len(replica.busy) for replica in self.replicas.values())

    @property
    def slots(self) -> int:
        """How many slots the ready replicas have."""
        return sum(replica.slots for replica in self.replicas.values() if replica.health.ready)

    @property
    def free(self) -> int:
        """How many slots are free."""
        return sum(replica.free for replica in self.replicas.values())

    @property
    def model_refs(self) -> frozenset[str]:
        """Everything a `model_ref` may say to mean this pool."""
        told = {known.model_digest for known in self._capabilities() if known.model_digest}
        return frozenset({*self.config.answers_to(), *told})

    @property
    def ctx_max(self) -> int | None:
        """The context size in tokens: as configured, else the smallest any replica reports."""
        return self.config.ctx_max or min(
            (known.ctx_max for known in self._capabilities() if known.ctx_max), default=None
        )

    @property
    def max_tokens_out(self) -> int | None:
        """The most tokens one task may ask for: as configured, else as reported."""
        told = min((known.max_tokens_out for known in self._capabilities() if known.max_tokens_out), default=None)
        return self.config.max_tokens_out or told

    @property
    def workloads(self) -> frozenset[Workload]:
        """What any replica serves; before one has answered, completion."""
        return frozenset[Workload]().union(*(known.workloads for known in self._capabilities())) or frozenset({
            Workload.COMPLETION
        })

    @property
    def engine_version(self) -> str | None:
        """What the first replica that has answered says it runs."""
        known = next(self._capabilities(), None)
        return known.engine_version if known is not None else None

    @property
    def features(self) -> frozenset[str]:
        """What any replica can do beyond its workloads."""
        return frozenset[str]().union(*(known.features for known in self._capabilities()))

    def view(self, priority: Priority) -> PoolView:
        """Return what placement of a task of this priority needs to know at this moment."""
        return PoolView(
            pool_id=self.pool_id,
            engine=self.config.engine,
            model_refs=self.model_refs,
            workloads=self.workloads,
            ready=self.is_ready,
            draining=self.draining,
            ctx_max=self.ctx_max,
            max_tokens_out=self.max_tokens_out,
            predicted_start_ms=self.predict(self.queue.ahead_of(priority)),
        )

    def facts(self) -> dict[str, JsonValue]:
        """Return what is known of the engine, under the names of the `started` frame."""
        known = next(self._capabilities(), None)
        fields: dict[str, JsonValue] = {
            "engine": self.config.engine,
            "pool_id": self.pool_id,
            "engine_version": known.engine_version if known else None,
            "model_digest": known.model_digest if known else None,
        }
        return {name: value for name, value in fields.items() if value is not None}

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
        """Grant free slots to waiting tasks, the replica with most free slots first."""
        while (replica := max(self.replicas.values(), key=lambda each: each.free)).free:
            task_id = self.queue.take()
            if task_id is None:
                break
            task = self._waiting.pop(task_id)
            task.lease = Lease(replica.replica_id, trio.current_time())
            replica.busy[task] = task.lease.since
            task.granted.set()
        self._changed.set()
        self._changed = trio.Event()

    def leave(self, task: Task) -> None:
        """Give up the task's seat or slot, whichever it has, and let the next one start."""
        self.queue.remove(task.task_id)
        self._waiting.pop(task.task_id, None)
        if task.lease is not None:
            replica = self.replicas[task.lease.replica_id]
            if replica.busy.pop(task, None) is not None:
                self.service_time.observe(trio.current_time() - task.lease.since)
        self.pump()

    async def wait_change(self) -> None:
        """Wait until the queue or the slots change."""
        await self._changed.wait()

    def _capabilities(self) -> Iterator[Capabilities]:
        return (replica.capabilities for replica in self.replicas.values() if replica.capabilities is not None)
