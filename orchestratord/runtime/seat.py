"""A running task's slot, as the adapter host moves it from replica to replica.

Implements: ORCH-3602.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from adapter_api import ReplicaId, WorkerError
    from adapter_host import Trial

    from .pool import Pool
    from .replica import Replica
    from .task import Lease, Task


@final
class TaskSeat:
    """The slot of one task; `let_go` is given each replica that it leaves, and why, to free the slot there in time."""

    def __init__(self, task: Task, pool: Pool, let_go: Callable[[Replica, WorkerError], None]) -> None:
        self._task = task
        self._pool = pool
        self._let_go = let_go

    @property
    def replica_id(self) -> ReplicaId:
        """Where the slot is."""
        return self._lease.replica_id

    @property
    def trial(self) -> Trial:
        """The leave of the replica's breaker."""
        return self._lease.trial

    def may_move(self, tried: Set[ReplicaId]) -> bool:
        """Whether another replica could take the task, now or soon."""
        return self._pool.may_move(tried)

    async def move(self, tried: Set[ReplicaId], failure: WorkerError) -> bool:
        """Wait for a slot on another replica; False if none can take the task any more. Cancelled leaves no slot."""
        left = self._pool.move(self._task, tried)
        left.doubt()
        self._let_go(left, failure)
        await self._task.granted.wait()
        if self._task.lease is None:
            return False
        self._task.tell_replica()
        return True

    @property
    def _lease(self) -> Lease:
        assert self._task.lease is not None  # the host asks only while the task has its slot
        return self._task.lease
