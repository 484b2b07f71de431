"""The pretended engine: slots, the line before them, loading, and what a test may read of it.

All state changes are synchronous; the only wait is for a free slot, first come first served. Time is Trio's, so a mock
clock drives it. It knows nothing of events.

Implements: ORCH-3058.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

import trio

from adapter_api import PoolUnavailable, TaskId, WorkerHealth, WorkerProps

if TYPE_CHECKING:
    from adapter_api import TaskRequest

    from .run import MockRun

_REMEMBERED = 1024  # canceled ids that `Facts` keeps: more than any test looks at
_REMEMBERED_REQUESTS = 64  # they hold prompts


@final
class MockEngine:
    """Slots and readiness of one mock engine."""

    def __init__(self, *, slots: int, loading_s: float) -> None:
        self._total = slots
        self._slots = trio.Semaphore(slots)
        self._loading_s = loading_s
        self._canceled: deque[TaskId] = deque(maxlen=_REMEMBERED)
        self.runs: dict[TaskId, MockRun] = {}
        self.submitted = 0
        self.asked: deque[TaskRequest] = deque(maxlen=_REMEMBERED_REQUESTS)
        self.is_up = True
        self.ready_at = trio.current_time() + loading_s

    def __repr__(self) -> str:
        return f"<MockEngine slots={self._slots.value}/{self._total} runs={len(self.runs)}>"

    @property
    def health(self) -> WorkerHealth:
        """Whether the engine is up, and whether it has loaded."""
        if not self.is_up:
            return WorkerHealth(live=False, ready=False, detail="connection refused")
        is_ready = trio.current_time() >= self.ready_at
        return WorkerHealth(live=True, ready=is_ready, detail="" if is_ready else "loading model")

    @property
    def props(self) -> WorkerProps:
        """Slots, free slots and the length of the line."""
        waiting = self._slots.statistics().tasks_waiting
        return WorkerProps(slots_total=self._total, slots_free=self._slots.value, queue_depth=waiting)

    @property
    def canceled(self) -> tuple[TaskId, ...]:
        """The ids that were canceled while they ran, oldest first, the last 1024 of them."""
        return tuple(self._canceled)

    def check_ready(self) -> None:
        """Raise `PoolUnavailable` unless the engine takes requests now."""
        health = self.health
        if not health.ready:
            wait_ms = round((self.ready_at - trio.current_time()) * 1000) if self.is_up else None
            raise PoolUnavailable(f"connect: {health.detail}", retry_after_ms=wait_ms)

    async def take_slot(self) -> None:
        """Wait in line for a slot; Cancelled leaves the line."""
        await self._slots.acquire()

    def free_slot(self) -> None:
        """Give a slot to the first in line."""
        self._slots.release()

    def abort(self, task_id: TaskId) -> None:
        """Stop a request at once; unknown ids are no error."""
        run = self.runs.get(task_id)
        if run is not None and run.cancel():
            self._canceled.append(task_id)

    def stop(self) -> None:
        """Die: every running request is reset and nothing is accepted until `start`."""
        self.is_up = False
        for run in tuple(self.runs.values()):
            run.reset("the engine went away")

    def start(self) -> None:
        """Come up again, loading first as at the beginning."""
        self.is_up = True
        self.ready_at = trio.current_time() + self._loading_s


@final
class Facts:
    """What the engine knows of its requests, for tests and demonstrations."""

    __slots__ = ("_engine",)

    def __init__(self, engine: MockEngine) -> None:
        self._engine = engine

    @property
    def live(self) -> tuple[TaskId, ...]:
        """Requests that hold a slot or wait for one."""
        return tuple(task_id for task_id, run in self._engine.runs.items() if run.is_live)

    @property
    def canceled(self) -> tuple[TaskId, ...]:
        """Requests that were canceled while they ran."""
        return self._engine.canceled

    @property
    def submitted(self) -> int:
        """Requests ever accepted."""
        return self._engine.submitted

    @property
    def asked(self) -> tuple[TaskRequest, ...]:
        """The last requests that were accepted, oldest first, each with the seed that decided its text."""
        return tuple(self._engine.asked)
