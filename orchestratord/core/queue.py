"""The bounded two-priority queue of one pool.

Strategy: one ordered dict per priority, so that offer, take and remove are O(1) and order is arrival order. The bound
is on both together. What happens when it is reached is the policy, and the answer says what was done; nothing here
tells anybody.

Implements: OC-CORE-1001, OC-CORE-1002, OC-CORE-1003, OC-CORE-1004, OC-CORE-1005.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from adapter_api import TaskId


class Priority(StrEnum):
    """The two classes; interactive goes first."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class FullPolicy(StrEnum):
    """What a full queue does with one more task."""

    REJECT = "reject"
    DROP_LRU = "drop-lru"
    SHED_LOW_PRIORITY = "shed-low-priority"


@dataclass(frozen=True, slots=True)
class Queued:
    """The task waits at `position` (0 is next); `dropped` lost its seat to it."""

    position: int
    dropped: TaskId | None = None


@dataclass(frozen=True, slots=True)
class QueueFull:
    """The task was not taken; `policy` is the one that decided it."""

    policy: FullPolicy


@final
class PoolQueue:
    """Tasks that wait for a slot of one pool."""

    def __init__(self, capacity: int, policy: FullPolicy) -> None:
        self.capacity = capacity
        self.policy = policy
        self._waiting: dict[Priority, dict[TaskId, None]] = {priority: {} for priority in Priority}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __contains__(self, task_id: TaskId) -> bool:
        return any(task_id in waiting for waiting in self._waiting.values())

    def __repr__(self) -> str:
        depths = " ".join(f"{priority}={len(waiting)}" for priority, waiting in self._waiting.items())
        return f"<PoolQueue {depths} of {self.capacity}>"

    def depth(self, priority: Priority) -> int:
        """Return how many tasks of this priority wait."""
        return len(self._waiting[priority])

    def ahead_of(self, priority: Priority) -> int:
        """Return how many tasks go before one of this priority that comes now."""
        return len(self) if priority is Priority.BATCH else len(self._waiting[Priority.INTERACTIVE])

    def offer(self, task_id: TaskId, priority: Priority) -> Queued | QueueFull:
        """Take the task in, or say that the queue is full; a dropped task is out when this returns."""
        dropped = None
        if len(self) >= self.capacity:
            dropped = self._victim(priority)
            if dropped is None:
                return QueueFull(self.policy)
            self.remove(dropped)
        self._waiting[priority][task_id] = None
        return Queued(self.ahead_of(priority) - 1, dropped)

    def take(self) -> TaskId | None:
        """Remove and return the task whose turn it is, or None."""
        for waiting in self._waiting.values():
            if waiting:
                task_id = next(iter(waiting))
                del waiting[task_id]
                return task_id
        return None

    def remove(self, task_id: TaskId) -> bool:
        """Give up the task's seat; False if it had none."""
        return any(waiting.pop(task_id, self) is None for waiting in self._waiting.values())

    def position(self, task_id: TaskId) -> int | None:
        """Return how many tasks go before this one, or None if it does not wait here. Linear in the queue."""
        ahead = 0
        for waiting in self._waiting.values():
            if task_id in waiting:
                return ahead + list(waiting).index(task_id)
            ahead += len(waiting)
        return None

    def _victim(self, newcomer: Priority) -> TaskId | None:
        batch = self._waiting[Priority.BATCH]
        match self.policy:
            case FullPolicy.REJECT:
                return None
            case FullPolicy.DROP_LRU:
                oldest = batch or self._waiting[Priority.INTERACTIVE]
                return next(iter(oldest), None)
            case FullPolicy.SHED_LOW_PRIORITY:  # the batch task that has waited least gives way, and only to its better
                return next(reversed(batch), None) if newcomer is Priority.INTERACTIVE else None
