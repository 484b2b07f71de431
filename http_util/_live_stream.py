"""One stream of token events that anybody may seal while its reader waits.

The rule: `seal` is synchronous and decides everything; whatever a reader was about to get is looked at again after each
wait. Registration, opening and closing are `live.py`.

Implements: ADAPT-3005, HTU-1005.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

import trio

from adapter_api import AdapterError, End, EventKind, FinishReason, Started, Token, WorkerError, WorkerReset

from ._failures import NOT_THE_PROTOCOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from adapter_api import TokenEvent

    from .sse import ServerEvent
    from .stream import EventStream

    Decode = Callable[[ServerEvent, "Progress"], Iterable[TokenEvent]]
    AtEnd = Callable[["Progress"], Iterable[TokenEvent]]

_TERMINAL = frozenset({EventKind.END, EventKind.ERROR})


@final
class Progress:
    """How far a stream has been decoded; `tokens` is the index of its next token."""

    __slots__ = ("_first_at", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self._first_at: float | None = None

    @property
    def decode_time_ms(self) -> int:
        """Milliseconds since the first token, 0 before it."""
        return 0 if self._first_at is None else round((trio.current_time() - self._first_at) * 1000)

    @property
    def has_begun(self) -> bool:
        """Whether the engine has begun to decode."""
        return self._first_at is not None

    def begin(self) -> None:
        """Take note that the engine decodes, be it something that is no token of the answer: a thought."""
        if self._first_at is None:
            self._first_at = trio.current_time()

    def count(self) -> None:
        """Take note of a token."""
        self.begin()
        self.tokens += 1


@final
class LiveStream:
    """An iterator over the events of one task, for one reader; a second one meanwhile gets `BusyResourceError`."""

    __slots__ = (
        "_at_end",
        "_buffer",
        "_decode",
        "_done",
        "_events",
        "_failure",
        "_is_read",
        "_progress",
        "_started_given",
        "_tokens_given",
        "is_sealed",
        "opening",
        "settled",
    )

    def __init__(self, decode: Decode, at_end: AtEnd) -> None:
        self.opening = trio.CancelScope()
        self.settled = trio.Event()  # nothing is being opened for this stream any more
        self.is_sealed = False
        self._decode = decode
        self._at_end = at_end
        self._events: EventStream | None = None
        self._buffer: deque[TokenEvent] = deque()
        self._failure: WorkerError | None = None  # given when the buffer is empty
        self._progress = Progress()
        self._tokens_given = 0
        self._started_given = False
        self._done = False
        self._is_read = False

    def __repr__(self) -> str:
        state = "sealed" if self.is_sealed else "done" if self._done else "open"
        return f"<LiveStream {state} tokens={self._tokens_given}>"

    def __aiter__(self) -> AsyncIterator[TokenEvent]:
        return self

    async def __anext__(self) -> TokenEvent:
        """Give the next event or raise the `WorkerError` that ends the stream; waits only for the network.

        Not a checkpoint while events of the last read are left. Cancelled loses nothing.
        """
        while not self._buffer:
            await self._refill()
        event = self._buffer.popleft()
        if type(event) is Token:
            self._tokens_given += 1
        elif event.kind is EventKind.STARTED:
            self._started_given = True
        elif event.kind in _TERMINAL:
            self._done = True
        return event

    @property
    def at_hand(self) -> int:
        """How many events of the last read are left: so many calls give one without waiting."""
        return len(self._buffer)

    @property
    def is_attached(self) -> bool:
        """Whether the stream has a connection of its own."""
        return self._events is not None

    def attach(self, events: EventStream, opening: Iterable[TokenEvent]) -> bool:
        """Take a connection over; False if a cancel came first, and then the caller closes it."""
        if self.is_sealed:
            return False
        self._events = events
        self._buffer.extend(opening)
        self.settled.set()
        return True

    def fill(self, events: Iterable[TokenEvent]) -> None:
        """Take all the events of a stream without a connection, unless a cancel came first."""
        if not self.is_sealed:
            self._buffer.extend(events)

    def seal(self) -> None:
        """End the stream from our side; what was read and not yet given is dropped, the reader wakes at once."""
        if self.is_sealed or self._done:
            return
        self.is_sealed = True
        started = next((event for event in self._buffer if type(event) is Started), Started())
        self._buffer.clear()
        self._failure = None
        if not self._started_given:
            self._buffer.append(started)
        self._buffer.append(self._canceled_end())
        if self._events is None:
            self.opening.cancel()
        else:
            self._events.close_nowait()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, or the opening of one has been given up."""
        if self._events is not None:
            await self._events.aclose()
        await self.settled.wait()

    async def finish(self) -> None:
        """After the engine's own end, let it end its body too, so that the connection can be used again."""
        if self._events is not None and self._done and not self.is_sealed:
            await self._events.finish()

    def _canceled_end(self) -> End:
        return End(
            tokens_out=self._tokens_given,
            decode_time_ms=self._progress.decode_time_ms if self._tokens_given else 0,
            finish_reason=FinishReason.CANCELED,
            canceled=True,
        )

    async def _refill(self) -> None:
        if self._failure is not None:
            failure, self._failure, self._done = self._failure, None, True
            raise failure
        if self._done or self._events is None:
            raise StopAsyncIteration
        if self._is_read:
            raise trio.BusyResourceError("another task is already reading this stream")
        self._is_read = True
        try:
            batch = await self._events.receive()
        except WorkerError:
            if self.is_sealed:
                return
            self._done = True
            raise
        finally:
            self._is_read = False
        if not self.is_sealed:
            self._take(batch, self._events.phase)
            if not self._progress.has_begun:
                self._events.no_token_yet()

    def _take(self, batch: list[ServerEvent], phase: str) -> None:
        try:
            ended = self._decode_all(batch) if batch else self._keep(self._at_end(self._progress))
            if not batch and not ended:
                raise WorkerReset(f"{phase}: the engine's stream ended without its end marker")
        except WorkerError as failure:
            self._failure = failure
        except NOT_THE_PROTOCOL as failure:
            # Not chained: the text of the exception may quote what the engine said.
            self._failure = AdapterError(f"{phase}: a frame is not the engine's protocol ({type(failure).__name__})")

    def _decode_all(self, batch: list[ServerEvent]) -> bool:
        decode, progress = self._decode, self._progress
        return any(self._keep(decode(event, progress)) for event in batch)

    def _keep(self, events: Iterable[TokenEvent]) -> bool:
        """Buffer events; True once one of them is terminal, and what follows it is not looked at."""
        for event in events:
            self._buffer.append(event)
            if type(event) is Token:
                self._progress.count()
            elif event.kind in _TERMINAL:
                return True
        return False
