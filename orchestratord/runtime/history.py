"""The tasks that can still be asked about: all that run, and the latest of those that are over.

Finished tasks are forgotten by count, by bytes and by age, the oldest first; age is looked at when somebody asks, so no
timer runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from adapter_api import TaskId
    from orchestratord.config import HistoryConfig

    from .task import Task


@final
class History:
    """task id -> task."""

    def __init__(self, config: HistoryConfig) -> None:
        self._config = config
        self._live: dict[TaskId, Task] = {}
        self._over: dict[TaskId, Task] = {}
        self._over_bytes = 0

    def __len__(self) -> int:
        return len(self._live) + len(self._over)

    @property
    def live(self) -> list[Task]:
        """The tasks that are not over, oldest first."""
        return list(self._live.values())

    def add(self, task: Task) -> None:
        """Remember a new task."""
        self._live[task.task_id] = task

    def conclude(self, task: Task) -> None:
        """Count the task among the ones that are over, and forget what no longer fits."""
        if self._live.pop(task.task_id, None) is None:
            return
        self._over[task.task_id] = task
        self._over_bytes += task.log.size
        while len(self._over) > self._config.max_tasks or self._over_bytes > self._config.max_bytes:
            self._forget(next(iter(self._over)))

    def get(self, task_id: TaskId, now: float) -> Task | None:
        """Return the task, if it is remembered at `now` (seconds on the run's clock)."""
        self._expire(now)
        return self._live.get(task_id) or self._over.get(task_id)

    def _expire(self, now: float) -> None:
        ttl_s = self._config.ttl_ms / 1000
        while self._over:
            oldest = next(iter(self._over.values()))
            if oldest.ended_at is None or now - oldest.ended_at < ttl_s:
                break
            self._forget(oldest.task_id)

    def _forget(self, task_id: TaskId) -> None:
        self._over_bytes -= self._over.pop(task_id).log.size
