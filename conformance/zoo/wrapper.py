"""A correct adapter around a correct adapter: the ground that every animal of the zoo stands on.

An animal overrides a method of `Wrapper`, or of `Stream` if only its streams are odd. Everything else is the inner
adapter's, so what is wrong with an animal is the few lines of its class.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from adapter_api import Token, WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    import trio

    from adapter_api import (
        CancelSupport,
        Capabilities,
        TaskId,
        TaskRequest,
        TokenEvent,
        WorkerAdapter,
        WorkerHealth,
        WorkerProps,
    )

    Events = AsyncIterator[TokenEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an animal may use: a nursery that lives as long as the adapter, the adapter's key, its idle bound.

    `address` and `connect` lead to the engine, where it has connections.
    """

    tasks: trio.Nursery
    api_key: str
    idle_s: float | None
    address: str | None
    connect: Callable[[], Awaitable[trio.abc.Stream]] | None


class Stream:
    """Gives what the inner stream gives; `tokens` counts the inner tokens before the event in hand."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        self.inner = inner
        self.adapter = adapter
        self.request = request
        self.tokens = 0
        self._ready: deque[TokenEvent] = deque()
        self._is_over = False

    @property
    def is_canceled(self) -> bool:
        """Whether cancel() was called for this stream."""
        return self.request.task_id in self.adapter.canceled

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        """Return what is given in place of an event."""
        return (event,)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        """Return what is given in place of a failure, or raise."""
        raise error

    def finish(self) -> Iterable[TokenEvent]:
        """Return what is given after the last event."""
        return ()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TokenEvent:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            self._ready.extend(await self._more())
        return self._ready.popleft()

    async def prefetch(self) -> None:
        """Wait for the first event and keep it."""
        self._ready.extend(await self._more())

    async def _more(self) -> Iterable[TokenEvent]:
        try:
            event = await anext(self.inner)
        except StopAsyncIteration:
            self._is_over = True
            return self.finish()
        except WorkerError as error:
            self._is_over = True
            return self.fail(error)
        changed = tuple(self.change(event))
        self.tokens += isinstance(event, Token)
        return changed


class Wrapper:
    """Does what the inner adapter does; `canceled` has every id that cancel() was called for."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings, stream_type: type[Stream] = Stream) -> None:
        self.inner = inner
        self.around = around
        self.canceled: set[TaskId] = set()
        self._stream_type = stream_type

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.inner!r}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """As the inner one."""
        return self.inner.cancel_support

    async def health(self) -> WorkerHealth:
        """As the inner one."""
        return await self.inner.health()

    async def props(self) -> WorkerProps:
        """As the inner one."""
        return await self.inner.props()

    async def capabilities(self) -> Capabilities:
        """As the inner one."""
        return await self.inner.capabilities()

    async def engine_version(self) -> str:
        """As the inner one."""
        return await self.inner.engine_version()

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        """Stream what the animal makes of the inner stream."""
        return self.stream(request)

    async def cancel(self, task_id: TaskId) -> None:
        """As the inner one."""
        self.canceled.add(task_id)
        await self.inner.cancel(task_id)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        """Open the inner stream and put the animal's around it."""
        async with self.inner.submit(request) as events:
            yield self._stream_type(events, self, request)
