"""An engine's event stream, with a deadline for each phase.

    phase        from        to                  past its bound
    connect      the dial    the connection      PoolUnavailable (the transport's own bound)
    headers      sending     the answer's head   DeadlineUnmet, retriable
    first token  sending     the first token     DecodeTimeout
    idle         an event    the next one        DecodeTimeout
    total        sending     the end             DeadlineUnmet, not retriable

Headers and first token share one allowance; a caller that can tell tokens from other events keeps it running past
those (`no_token_yet`). An event at the very tick of its deadline is late; comments are not progress. Allowances are
spent only while we wait for the engine, never by a slow consumer; `total` is the caller's own time and runs always. One
wait is one cancel scope, however many events it brings.

Another protocol than SSE over HTTP/1.1 brings a body and a decoder of its own to `open_body` and is bounded the same.

No retries: only the caller knows whether a token was delivered.

Implements: HTU-1003, HTU-1005.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

import httpx
import trio

from adapter_api import AdapterError, DeadlineUnmet, DecodeTimeout, InternalError, WorkerError

from . import _exchange
from ._failures import worker_error
from ._sockets import CLOSE_S
from .sse import Decoder, EventTooLarge
from .transport import ONLY_HTTP1

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from ._exchange import Classify as Classify
    from .sse import ServerEvent
    from .transport import Body

    Explain = Callable[[WorkerError], Awaitable[WorkerError]]

DRAIN_S = 0.05
"""How long the end of the body may lag behind the engine's end marker before the connection is given up."""
_DRAIN_READS = 16
EXPLAIN_S = 0.2
"""How long an explanation of an engine's silence may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBounds:
    """The allowances of one stream, in seconds; `total_s` None leaves the whole unbounded."""

    connect_s: float = 5.0
    first_token_s: float = 120.0
    idle_s: float = 30.0
    total_s: float | None = None


@asynccontextmanager
async def open_events(
    client: httpx.AsyncClient,
    path: str,
    *,
    json: object,
    bounds: StreamBounds,
    classify: Classify,
    headers: Mapping[str, str] = _exchange.NO_HEADERS,
    phase: str = "completion",
) -> AsyncIterator[EventStream]:
    """POST `json` and yield the events of the answer; raise `WorkerError` for every other kind of answer.

    Leaving the block closes the engine's connection at once unless the body has come to its end. Cancelled, while
    entering or inside, leaves no connection behind.
    """
    parts = _exchange.RequestParts(
        json=json, headers={"accept": _exchange.EVENT_STREAM, **headers}, extensions={ONLY_HTTP1: True}
    )
    limits = httpx.Timeout(None, connect=bounds.connect_s, pool=bounds.connect_s)
    request = _exchange.build(client, "POST", path, parts, limits, phase)
    allowances = _Allowances(bounds, trio.current_time())
    response = await _establish(client, request, allowances, phase)
    async with _exchange.closing(response) as body:
        await _exchange.require_event_stream(response, body, classify, phase)
        yield EventStream(body, Decoder(), allowances, phase, response.headers)


@asynccontextmanager
async def open_body(
    source: AbstractAsyncContextManager[Body], decoder: BodyDecoder, *, bounds: StreamBounds, phase: str = "completion"
) -> AsyncIterator[EventStream]:
    """Enter `source`, which waits for the answer's head, and yield the events that `decoder` finds in its body.

    The time of entering counts as the wait for the answer's head; connecting is bounded by `source` itself. Leaving the
    block leaves `source`, which closes the connection.
    """
    allowances = _Allowances(bounds, trio.current_time())
    async with AsyncExitStack() as held:
        with trio.CancelScope(deadline=allowances.begin_wait(trio.current_time())) as head:
            body = await held.enter_async_context(source)
            allowances.end_wait(trio.current_time())
        if head.cancelled_caught:
            raise allowances.no_headers(trio.current_time(), phase)
        yield EventStream(body, decoder, allowances, phase)


class BodyDecoder(Protocol):
    """Makes events of a body's bytes, however they are cut."""

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that `chunk` completed; raise `EventTooLarge`, or a `WorkerError`."""

    def close(self) -> list[ServerEvent]:
        """Return what the end of the body completed."""


async def _establish(
    client: httpx.AsyncClient, request: httpx.Request, allowances: _Allowances, phase: str
) -> httpx.Response:
    with trio.CancelScope(deadline=allowances.begin_wait(trio.current_time())):
        response = await _exchange.send(client, request, phase)
        allowances.end_wait(trio.current_time())
        return response
    raise allowances.no_headers(trio.current_time(), phase)


@final
class EventStream:
    """The events of one answer, for one reader; `headers` are the answer's, where look-up ignores case.

    `explain` may be set to what knows more of an engine's silence: it is given the error of a wait that no event ended,
    while the connection is still open, and `EXPLAIN_S` to give another in its place.
    """

    __slots__ = ("_allowances", "_body", "_closed", "_decoder", "_ended", "_wait", "explain", "headers", "phase")

    def __init__(
        self,
        body: Body,
        decoder: BodyDecoder,
        allowances: _Allowances,
        phase: str,
        headers: Mapping[str, str] = _exchange.NO_HEADERS,
    ) -> None:
        self.phase = phase
        self.headers = headers
        self.explain: Explain | None = None
        self._body = body
        self._allowances = allowances
        self._decoder = decoder
        self._wait: trio.CancelScope | None = None
        self._ended = self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else "ended" if self._ended else "open"
        return f"<EventStream {self.phase} {state}>"

    async def receive(self) -> list[ServerEvent]:
        """Return the events that one read of the network completed; [] is the end of the body and nothing else.

        Raises the `WorkerError` of what failed, and `InternalError` once the stream was closed on our side. Cancelled
        leaves the stream usable and nothing lost.
        """
        if self._ended or self._closed:
            return self._nothing_more()
        allowances, now = self._allowances, trio.current_time()
        deadline = allowances.begin_wait(now)
        if deadline > now:
            with trio.CancelScope(deadline=deadline) as self._wait:
                try:
                    events = await self._next_events()
                except trio.Cancelled:
                    allowances.end_wait(trio.current_time())
                    raise
                allowances.progress(trio.current_time())
                return events
            if self._closed:
                return self._nothing_more()
        error = await self._explained(allowances.no_event(trio.current_time(), self.phase))
        self.close_nowait()
        raise error

    def no_token_yet(self) -> None:
        """Note that the events of the last `receive` held no token: the allowance for the first one runs on."""
        self._allowances.no_token_yet()

    async def finish(self) -> None:
        """Read on to the end of the body, for at most 50 ms, so that the connection can be used again.

        For a caller that has seen the engine's end marker; what comes after it is dropped.
        """
        with trio.move_on_after(DRAIN_S):
            for _ in range(_DRAIN_READS):
                if self._ended or self._closed:
                    break
                try:
                    self._ended = not await self._body.receive()
                except (httpx.RequestError, WorkerError):
                    break

    def close_nowait(self) -> None:
        """Close the engine's connection unless the body has ended; a reader that waits in `receive` wakes at once."""
        self._closed = True
        if self._wait is not None:
            self._wait.cancel()
        self._body.close_nowait()

    async def aclose(self) -> None:
        """Close as `close_nowait` does, then wait, for at most a second, until it is done."""
        self.close_nowait()
        with trio.move_on_after(CLOSE_S, shield=True):
            await self._body.aclose()

    async def _next_events(self) -> list[ServerEvent]:
        broken: WorkerError | None = None
        while broken is None:
            try:
                chunk = await self._body.receive()
            except httpx.RequestError as failure:
                broken = worker_error(failure, self.phase)
                continue
            try:
                events = self._decoder.feed(chunk) if chunk else self._decoder.close()
            except EventTooLarge as failure:
                raise AdapterError(f"{self.phase}: {failure}") from failure
            self._ended = not chunk
            if events or not chunk:
                return events
        raise broken

    async def _explained(self, error: WorkerError) -> WorkerError:
        if self.explain is not None:
            with trio.move_on_after(EXPLAIN_S) as self._wait:
                return await self.explain(error)
        return error

    def _nothing_more(self) -> list[ServerEvent]:
        if self._closed:
            raise InternalError(f"{self.phase}: the stream was closed on our side")
        return []


class _Allowances:
    """What is left of each bound; knows no I/O, `now` is an argument."""

    __slots__ = ("_began", "_bounds", "_first_left_s", "_left_s", "_seen_event", "_total_at")

    def __init__(self, bounds: StreamBounds, now: float) -> None:
        self._bounds = bounds
        self._total_at = None if bounds.total_s is None else now + bounds.total_s
        self._left_s = self._first_left_s = bounds.first_token_s
        self._seen_event = False
        self._began = now

    def begin_wait(self, now: float) -> float:
        """Return the deadline of a wait that begins now."""
        self._began = now
        deadline = now + self._left_s
        return deadline if self._total_at is None else min(deadline, self._total_at)

    def end_wait(self, now: float) -> None:
        """Spend the time of a wait that brought no event."""
        self._left_s -= now - self._began
        if not self._seen_event:
            self._first_left_s = self._left_s

    def progress(self, now: float) -> None:
        """Take note of an event."""
        self._first_left_s -= 0.0 if self._seen_event else now - self._began
        self._seen_event = True
        self._left_s = self._bounds.idle_s

    def no_token_yet(self) -> None:
        """Take note that what came so far was not what the first allowance is for."""
        self._seen_event = False
        self._left_s = self._first_left_s

    def no_headers(self, now: float, phase: str) -> WorkerError:
        """Return the error for a wait that passed its deadline before the answer's head came."""
        return self._overdue(now, phase) or DeadlineUnmet(
            f"{phase}: no answer within {self._bounds.first_token_s:g} s", retriable=True
        )

    def no_event(self, now: float, phase: str) -> WorkerError:
        """Return the error for a wait that passed its deadline without an event."""
        if self._seen_event:
            return self._overdue(now, phase) or DecodeTimeout(f"{phase}: silent for {self._bounds.idle_s:g} s")
        return self._overdue(now, phase) or DecodeTimeout(
            f"{phase}: no first token within {self._bounds.first_token_s:g} s"
        )

    def _overdue(self, now: float, phase: str) -> WorkerError | None:
        if self._total_at is None or now < self._total_at:
            return None
        return DeadlineUnmet(f"{phase}: not finished within {self._bounds.total_s:g} s")
