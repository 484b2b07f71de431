"""HTTP/1.1 for `httpx` over Trio streams, made for long answers in small pieces.

A request takes a connection, one at a time per connection, at most `max_connections` at once. Closing a response whose
body is not at its end closes the socket in that moment: that is how an engine is told to stop. A connection that was
kept from an earlier request and dies before it answers is replaced once, if the request had not been sent whole or is
idempotent.

    HTTP/2      only where the server chooses it, and never for a request marked `ONLY_HTTP1`: the library that we would
                leave HTTP/2 to (httpcore) does not reset the stream of a response that is closed early, so the engine
                would go on. Such origins are handed to `fallback`.
    compressed  bodies pass as they are; nobody asks for them
    proxies     are the business of httpx's own transport, see `client.py`

Errors are those of `httpx`; `_failures.py` says what they mean.

Implements: HTU-1001.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast, final

import httpx
import trio

from . import _sockets
from ._connections import Connection, Pool, Unanswered
from ._wire import ResponseParser, encode_request

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator
    from types import AsyncGeneratorType

    from ._sockets import Dial as Dial
    from ._sockets import Origin

ONLY_HTTP1 = "http_util.only_http1"
"""Request extension: the answer must be such that closing it closes the connection."""
_BODY = "http_util.body"
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class Body(Protocol):
    """The body of a response, for one reader."""

    async def receive(self) -> bytes:
        """Return the next bytes, b"" at the end and after it; raise `httpx.RequestError`."""

    def close_nowait(self) -> None:
        """Close now; an unfinished body takes its connection with it."""

    async def aclose(self) -> None:
        """Close, and wait where that is the only way."""


def body_of(response: httpx.Response) -> Body:
    """Return the body of a response of any transport."""
    body = response.extensions.get(_BODY)
    return body if isinstance(body, ResponseBody) else _IteratedBody(response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Two contexts that differ in what they offer the server: HTTP/1.1 alone, or HTTP/2 as well."""

    http1: ssl.SSLContext
    any_version: ssl.SSLContext


@final
class TrioTransport(httpx.AsyncBaseTransport):
    """The transport; for any number of tasks."""

    def __init__(
        self,
        *,
        tls: Tls | None = None,
        dial: Dial | None = None,
        max_connections: int = 1024,
        fallback: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._tls = tls
        self._dial = dial
        self._fallback = fallback
        self._http2_origins: set[Origin] = set()
        self._slots = trio.Semaphore(max_connections, max_value=max_connections)
        self.pool = Pool()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and return the response once its head is there. Cancelled leaves no connection behind."""
        origin = _sockets.origin_of(request.url)
        if self._fallback is not None and origin in self._http2_origins and not _only_http1(request):
            return await self._fallback.handle_async_request(request)
        payload = encode_request(request, await request.aread())
        with _within(_timeout(request, "pool"), httpx.PoolTimeout):
            await self._slots.acquire()
        try:
            connection, parser = await self._exchange(request, origin, payload)
        except _Http2Chosen as chosen:
            self._slots.release()
            self._http2_origins.add(origin)
            return await chosen.fallback.handle_async_request(request)
        except BaseException:
            self._slots.release()
            raise
        body = ResponseBody(connection, parser, self._release, read_s=_timeout(request, "read"))
        extensions = {"http_version": b"HTTP/1.1", _BODY: body}
        return httpx.Response(parser.status, headers=parser.headers, stream=body, extensions=extensions)

    async def aclose(self) -> None:
        """Close every connection, in use or not."""
        await self.pool.aclose()
        if self._fallback is not None:
            await self._fallback.aclose()

    async def _exchange(
        self, request: httpx.Request, origin: Origin, payload: bytes
    ) -> tuple[Connection, ResponseParser]:
        kept = await self.pool.take(origin, trio.current_time())
        if kept is not None:
            try:
                return kept, await self._ask(kept, request, payload)
            except Unanswered as failure:
                if failure.sent and request.method not in _IDEMPOTENT:
                    raise httpx.RemoteProtocolError("the peer closed the connection without an answer") from failure
        fresh = await self._connect(request, origin)
        try:
            return fresh, await self._ask(fresh, request, payload)
        except Unanswered as failure:
            raise httpx.RemoteProtocolError("the peer closed the connection without an answer") from failure

    async def _connect(self, request: httpx.Request, origin: Origin) -> Connection:
        fallback = None if _only_http1(request) else self._fallback
        tls = None
        if origin.scheme == "https":
            if self._tls is None:
                raise httpx.UnsupportedProtocol("no TLS for this client")
            tls = self._tls.http1 if fallback is None else self._tls.any_version
        with _within(_timeout(request, "connect"), httpx.ConnectTimeout):
            stream = await _sockets.open_stream(origin, self._dial, tls)
        if fallback is not None and _sockets.speaks_http2(stream):
            await _sockets.close(stream)
            raise _Http2Chosen(fallback)
        connection = Connection(origin, stream)
        self.pool.add(connection)
        return connection

    async def _ask(self, connection: Connection, request: httpx.Request, payload: bytes) -> ResponseParser:
        parser = ResponseParser(method=request.method)
        try:
            with _within(_timeout(request, "read"), httpx.ReadTimeout):
                await connection.exchange(payload, parser)
        except BaseException:
            self.pool.drop(connection)
            with trio.move_on_after(_sockets.CLOSE_S, shield=True):
                await connection.aclose()
            raise
        return parser

    def _release(self, connection: Connection, *, reusable: bool) -> None:
        self._slots.release()
        if reusable:
            self.pool.give_back(connection, trio.current_time())
        else:
            self.pool.drop(connection)


@final
class ResponseBody(httpx.AsyncByteStream):
    """The body of one response, and its hold on a connection.

    The connection is let go when the last byte has been parsed, before the reader has it.
    """

    __slots__ = ("_connection", "_held", "_parser", "_read", "_release", "_reused")

    def __init__(
        self, connection: Connection, parser: ResponseParser, release: _Release, *, read_s: float | None
    ) -> None:
        self._connection = connection
        self._parser = parser
        self._release = release
        self._read = connection.read if read_s is None else partial(_bounded_read, connection, read_s)
        self._held = True
        self._reused = False
        if parser.complete:
            self._let_go()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Give the next bytes."""
        if data := await self.receive():
            return data
        raise StopAsyncIteration

    async def receive(self) -> bytes:
        """Return the next bytes, b"" at the end and after it; raise `httpx.RequestError`.

        A checkpoint only when the network has to be read. Cancelled loses nothing.
        """
        parser = self._parser
        pieces = parser.pieces
        while not pieces:
            if parser.complete:
                return b""
            if parser.failure is not None:
                raise parser.failure
            parser.feed(await self._read())
            if parser.complete:
                self._let_go()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def close_nowait(self) -> None:
        """Close now; an unfinished body takes its connection with it, and a waiting reader gets `httpx.ReadError`."""
        self._parser.pieces.clear()
        self._let_go()

    async def aclose(self) -> None:
        """Close; waits only for streams that cannot be closed without waiting."""
        self.close_nowait()
        if not self._reused:
            await self._connection.aclose()

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._reused = self._parser.complete and self._parser.reusable
            self._release(self._connection, reusable=self._reused)


@final
class _IteratedBody:
    """The body of a response of another transport, which cannot be closed without waiting."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._chunks = cast("AsyncGeneratorType[bytes, None]", response.aiter_raw())
        self._cut = False

    async def receive(self) -> bytes:
        """Return the next bytes, b"" at the end and after it; raise `httpx.RequestError`. Cancelled ends the body."""
        if self._cut:
            raise httpx.ReadError("a cancelled read of the body was the last one")
        self._cut = True
        chunk = await anext(self._chunks, b"")  # httpx passes no empty chunks on
        self._cut = False
        return chunk

    def close_nowait(self) -> None:
        """Do nothing: `aclose` follows."""

    async def aclose(self) -> None:
        """Close the response."""
        if not self._chunks.ag_running:
            await self._chunks.aclose()
        await self._response.aclose()


class _Release(Protocol):
    def __call__(self, connection: Connection, *, reusable: bool) -> None: ...


class _Http2Chosen(Exception):
    def __init__(self, fallback: httpx.AsyncBaseTransport) -> None:
        super().__init__()
        self.fallback = fallback


async def _bounded_read(connection: Connection, seconds: float) -> bytes:
    with _within(seconds, httpx.ReadTimeout):
        return await connection.read()


def _only_http1(request: httpx.Request) -> bool:
    return ONLY_HTTP1 in request.extensions


def _timeout(request: httpx.Request, phase: str) -> float | None:
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    return limits.get(phase)


@contextmanager
def _within(seconds: float | None, late: type[httpx.TimeoutException]) -> Iterator[None]:
    if seconds is None:
        yield
        return
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise late(f"not within {seconds:g} s")
