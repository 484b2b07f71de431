"""The line in front of a server's models: who is worked on, who waits, and when the line is full.

By default it has no end and no time limit: an overloaded server is silent. Both are options of a model.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, final

import trio

from .failures import Code, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from conformance.engines.double import Facts

    from .requests import InferRequest
    from .settings import TritonSettings


@final
class Queue:
    """All places of one server; `facts.live` follows those who work and those who wait."""

    def __init__(self, settings: TritonSettings, facts: Facts) -> None:
        self._settings = settings
        self._facts = facts
        self._free = trio.Semaphore(settings.slots)
        self._overloaded = 0
        self.running = 0

    def __repr__(self) -> str:
        return f"<Queue running={self.running}/{self._settings.slots} waiting={self.waiting}>"

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._free.statistics().tasks_waiting + self._overloaded

    @property
    def seats(self) -> dict[str, int]:
        """The counts as the in-flight batcher of TensorRT-LLM tells them."""
        running = self.running
        return {"max": self._settings.slots, "active": running, "waiting": self.waiting, "scheduled": running} | {
            "context": 0
        }

    def check_room(self, request: InferRequest) -> None:
        """Refuse a request that would have to wait where nobody may."""
        most = self._settings.max_queue_size
        if most and self.running >= self._settings.slots and self.waiting >= most:
            raise _full(request)

    @asynccontextmanager
    async def place(self, request: InferRequest) -> AsyncIterator[Place]:
        """Wait for a place and keep it for the block. Raises `Refused` when the wait is too long."""
        self._facts.live += 1
        place = Place(self, self._free)
        try:
            await self._take(request)
            place.is_held = True
            self.running += 1
            yield place
        finally:
            place.give_back()
            self._facts.live -= 1

    @contextmanager
    def overload(self, request: InferRequest) -> Iterator[None]:
        """Count a request that waits and will never get a place; refuse it if the line has an end."""
        if self._settings.max_queue_size:
            raise _full(request)
        self._overloaded += 1
        try:
            yield
        finally:
            self._overloaded -= 1

    async def _take(self, request: InferRequest) -> None:
        with trio.CancelScope() as patience:
            if self._settings.queue_timeout_s is not None:
                patience.deadline = trio.current_time() + self._settings.queue_timeout_s
            await self._free.acquire()
            return
        raise Refused(f"{request.label}Request timeout expired", Code.UNAVAILABLE)


@final
class Place:
    """A place that is held until it is given back."""

    def __init__(self, queue: Queue, free: trio.Semaphore) -> None:
        self._queue = queue
        self._free = free
        self.is_held = False

    def give_back(self) -> None:
        """Let the next one in; a second time it does nothing."""
        if self.is_held:
            self.is_held = False
            self._queue.running -= 1
            self._free.release()


def _full(request: InferRequest) -> Refused:
    return Refused(f"{request.label}Exceeds maximum queue size", Code.UNAVAILABLE)
