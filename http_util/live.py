"""The streams an adapter has under way, so that `WorkerAdapter.cancel` is one line.

A cancel is a synchronous change first: the stream is sealed, what it had buffered is dropped, its reader is woken and
the engine's socket is closed, all before any other task runs, so no token can follow. Only then does `cancel` wait, for
at most a second, until the connection is gone. A sealed stream gives `End(canceled=True)` and stops.

An adapter brings the connection (a context manager over an `EventStream`) and a function from the engine's events to
ours:

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        return self._live.stream(request.task_id, self._completion(request), decode, opening=(Started(seed=1),))

    async def cancel(self, task_id: TaskId) -> None:
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _completion(self, request: TaskRequest) -> AsyncIterator[EventStream]:
        prompt = await self._prompt(request)  # may call the engine too: a cancel stops that as well
        async with open_events(self._client, "/completion", json=..., bounds=..., classify=...) as events:
            yield events

    def decode(event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        frame = msgspec.json.decode(event.data, type=Frame)
        if frame.error is not None:
            raise classify(EngineReply(200, {}, event.data, "completion"))
        if frame.content:
            yield Token(frame.content, so_far.tokens)
        if frame.stop:
            yield End(tokens_out=frame.tokens_predicted, decode_time_ms=so_far.decode_time_ms)

`decode` may raise a `WorkerError`; the tokens before it are given first. A frame that it cannot parse (`MsgspecError`
or `ValueError`) becomes an `AdapterError`. A body that ends before `decode` gave a terminal event is a `WorkerReset`;
an engine that has no end marker gives its `End` in `at_end`. What is answered in one piece uses `LiveStreams.call`.

Implements: ADAPT-3005, OC-CTRL-2012.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, final

import trio

from adapter_api import InternalError, WorkerError

from ._live_stream import LiveStream
from ._live_stream import Progress as Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskId, TokenEvent

    from ._live_stream import AtEnd as AtEnd
    from ._live_stream import Decode as Decode
    from .sse import ServerEvent
    from .stream import EventStream

CLOSE_S = 1.0
"""The longest that `cancel` waits for a connection to be gone; its socket is closed before that."""


@final
class LiveStreams:
    """The streams of one adapter, by task id."""

    __slots__ = ("_live",)

    def __init__(self) -> None:
        self._live: dict[TaskId, LiveStream] = {}

    def __len__(self) -> int:
        return len(self._live)

    @asynccontextmanager
    async def stream(
        self,
        task_id: TaskId,
        source: AbstractAsyncContextManager[EventStream],
        decode: Decode,
        *,
        opening: Iterable[TokenEvent] = (),
        at_end: AtEnd = lambda _so_far: (),
    ) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """Enter `source` and yield the events: `opening`, then what `decode` makes of the engine's.

        Raises `InternalError` if the task has a stream already, and the `WorkerError` of entering `source`. Leaving the
        block leaves `source`. A cancel while `source` is being entered makes a stream that only starts and ends.
        """
        live = LiveStream(decode, at_end)
        with self._registered(task_id, live):
            try:
                with live.opening:
                    async with source as events:
                        if live.attach(events, opening):
                            yield live
                            await live.finish()
            except WorkerError:
                if live.is_attached or not live.is_sealed:
                    raise
            if not live.is_attached:
                live.settled.set()
                yield live

    @asynccontextmanager
    async def call(
        self, task_id: TaskId, work: Callable[[], Awaitable[Iterable[TokenEvent]]]
    ) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """Await `work()` and yield the events it returns, `Started` to `End`; a cancel stops it.

        Raises `InternalError` if the task has a stream already, and what `work` raises.
        """
        live = LiveStream(_no_events, _no_events)
        with self._registered(task_id, live):
            try:
                with live.opening:
                    live.fill(await work())
            except WorkerError:
                if not live.is_sealed:
                    raise
            live.settled.set()
            yield live

    async def cancel(self, task_id: TaskId) -> None:
        """Seal the stream of a task at once, then wait until its connection is closed, for at most a second.

        Unknown and finished tasks are no error. If this is cancelled while it waits, the stream is sealed all the same.
        """
        live = self._live.get(task_id)
        if live is not None:
            live.seal()
            with trio.move_on_after(CLOSE_S):
                await live.wait_closed()

    @contextmanager
    def _registered(self, task_id: TaskId, live: LiveStream) -> Iterator[None]:
        if task_id in self._live:
            raise InternalError(f"task {task_id} has a stream already")
        self._live[task_id] = live
        try:
            yield
        finally:
            live.settled.set()
            del self._live[task_id]


def _no_events(*_: ServerEvent | Progress) -> Iterable[TokenEvent]:
    return ()
