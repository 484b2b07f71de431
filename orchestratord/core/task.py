"""The life of a task as a table.

Implements: OC-CTRL-2012, OC-CTRL-2027.
"""

from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the task any more."""
        return not FOLLOWING[self]


FOLLOWING: dict[TaskState, frozenset[TaskState]] = {
    TaskState.QUEUED: frozenset({TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELED}),
    TaskState.RUNNING: frozenset({TaskState.ENDED, TaskState.FAILED, TaskState.CANCELED}),
    TaskState.ENDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELED: frozenset(),
}
"""State -> the states that may follow it."""


class CancelReason(StrEnum):
    """Who or what stopped a task; the values are the `reason` label of `tasks_canceled_total`."""

    CLIENT = "client"
    DISCONNECT = "disconnect"
    DROPPED = "dropped"
    SHUTDOWN = "shutdown"
