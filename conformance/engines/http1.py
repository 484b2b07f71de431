"""HTTP/1.1 for doubles: one connection, one exchange at a time, every byte under control.

`h11` knows the protocol; this file moves the bytes, notices when the client goes away, and can misbehave on request:
bytes in any pieces, an answer cut in the middle, a reset. A handler answers through `Exchange`.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from typing import TYPE_CHECKING, final

import h11
import trio

from .pipe import PipeEnd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    Handler = Callable[["Exchange"], Awaitable[None]]
    Headers = Iterable[tuple[str, str]]


SLOWEST_REQUEST_S = 600.0
"""A client that sends its request slower than this is dropped."""


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as it arrived; header names in lower case, `at` the moment on Trio's clock."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    at: float = field(default=0.0, compare=False)


@final
class Exchange:
    """One request and the answer to it. When the client leaves, `gone` is set and the handler is cancelled.

    `status` is that of the answer once it has begun, `is_complete` whether all of it was sent.
    """

    def __init__(self, stream: trio.abc.Stream, http: h11.Connection, request: SeenRequest) -> None:
        self.request = request
        self.gone = trio.Event()
        self.is_started = False
        self.is_complete = False
        self.status: int | None = None
        self._stream = stream
        self._http = http
        self._sizes: Iterator[int] | None = None
        self._left: int | None = None
        self._held: bytearray | None = None
        self._held_body = bytearray()
        self._writing = trio.StrictFIFOLock()
        self._is_cut = False

    @property
    def is_over(self) -> bool:
        """Whether no further request can come on this connection."""
        return self._is_cut or self.gone.is_set()

    def split_at(self, sizes: tuple[int, ...]) -> None:
        """From here on write in pieces of these sizes, over and over."""
        self._sizes = itertools.cycle(sizes)

    def cut_after(self, size: int) -> None:
        """Close the connection when so many more bytes were written, and write nothing more."""
        self._left = size

    def hold(self) -> None:
        """From here on keep what is written until `release`; the body then leaves in one chunk."""
        self._held = bytearray()

    async def release(self) -> None:
        """Write what is kept, in one piece."""
        await self._send_body()
        if self._held:
            held, self._held = bytes(self._held), None
            await self._write(held)
            self._held = bytearray()

    async def answer(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        """Send a complete answer of known length; without a content type if it is empty."""
        kind = (("Content-Type", content_type),) if content_type else ()
        head = self._http.send(_response(status, (*headers, *kind, ("Content-Length", str(len(body)))))) or b""
        self.is_started, self.status = True, status
        await self._write(head + self._body(body))
        self.is_complete = True

    async def start(self, status: int, content_type: str, headers: Headers = ()) -> None:
        """Send the head of an answer whose chunks follow."""
        chunked = (("Content-Type", content_type), ("Transfer-Encoding", "chunked"))
        self.is_started, self.status = True, status
        await self._write(self._http.send(_response(status, (*headers, *chunked))) or b"")

    async def send(self, data: bytes) -> None:
        """Send one chunk; no bytes, no chunk."""
        if self._held is not None:
            self._held_body += data
        elif data:
            await self._write(self._http.send(h11.Data(data=data)) or b"")

    async def end(self, *, closes: bool = False) -> None:
        """End the chunked body; `closes` the connection after it, whatever the headers said."""
        await self._send_body()
        await self._write(self._http.send(h11.EndOfMessage()) or b"")
        self.is_complete = True
        self._is_cut |= closes

    async def cut(self) -> None:
        """Close the connection in the middle of the answer."""
        if self.is_started:
            await self._send_body()
            await self._write(b"40\r\n")  # promises 64 bytes that never come; a client may leave meanwhile
            await self.release()
        self._is_cut = True
        await self._stream.aclose()

    def reset(self) -> None:
        """Reset the connection."""
        self._is_cut = True
        reset_stream(self._stream)

    async def _send_body(self) -> None:
        body, self._held_body = bytes(self._held_body), bytearray()
        if body:
            await self._write(self._http.send(h11.Data(data=body)) or b"")

    async def _write(self, wire: bytes) -> None:
        if self._held is not None:
            self._held += wire
            return
        async with self._writing:
            for piece in self._pieces(wire):
                await self._send_all(piece if self._left is None else piece[: self._left])
                await self._count(len(piece))

    async def _count(self, size: int) -> None:
        """Close the connection at the byte that was to be the last."""
        if self._left is not None:
            self._left = max(0, self._left - size)
        if self._left == 0 and not self._is_cut:
            self._is_cut = True
            await self._stream.aclose()

    async def _send_all(self, piece: bytes) -> None:
        if not piece:
            return
        try:
            await self._stream.send_all(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.leave()
            await trio.sleep_forever()  # until the handler is cancelled

    def leave(self) -> None:
        """Note that the client has left, unless it was us who closed."""
        if not self._is_cut:
            self.gone.set()

    def _body(self, body: bytes) -> bytes:
        data = self._http.send(h11.Data(data=body)) or b""
        return data + (self._http.send(h11.EndOfMessage()) or b"")

    def _pieces(self, wire: bytes) -> Iterator[bytes]:
        if self._sizes is None:
            yield wire
            return
        while wire:
            size = next(self._sizes)
            yield wire[:size]
            wire = wire[size:]


async def serve_http(
    stream: trio.abc.Stream, handler: Handler, *, keep_alive_s: float, on_request: Callable[[SeenRequest], None]
) -> None:
    """Answer the requests of one connection until either side has enough; the caller closes the stream.

    A connection that is idle for `keep_alive_s` is left. Cancelled: the answer under way stays unfinished.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=65_536)
    while True:
        with trio.move_on_after(keep_alive_s) as idle:
            request = await _next_request(stream, http, idle)
        if idle.cancelled_caught or request is None:
            return
        on_request(request)
        exchange = Exchange(stream, http, request)
        await _answer(exchange, handler, stream, http)
        if exchange.is_over or http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return
        http.start_next_cycle()


def reset_stream(stream: trio.abc.Stream) -> None:
    """Close the stream so that the peer sees a reset."""
    if isinstance(stream, PipeEnd):
        stream.reset()
    elif isinstance(stream, trio.SocketStream):
        stream.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()


async def _answer(exchange: Exchange, handler: Handler, stream: trio.abc.Stream, http: h11.Connection) -> None:
    """Run the handler until it is done or the client leaves, whichever comes first."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_when_gone, exchange, nursery.cancel_scope)
        nursery.start_soon(_watch, exchange, stream, http)
        await handler(exchange)
        nursery.cancel_scope.cancel()


async def _cancel_when_gone(exchange: Exchange, scope: trio.CancelScope) -> None:
    await exchange.gone.wait()
    scope.cancel()


async def _watch(exchange: Exchange, stream: trio.abc.Stream, http: h11.Connection) -> None:
    """Read while we answer: bytes are the next request, the end of them means that the client is gone."""
    while data := await _receive(stream):
        http.receive_data(data)
    exchange.leave()


async def _next_request(stream: trio.abc.Stream, http: h11.Connection, idle: trio.CancelScope) -> SeenRequest | None:
    """Return the next whole request, or None if the client has no more or does not speak HTTP."""
    head: h11.Request | None = None
    body = bytearray()
    while isinstance(event := await _next_event(stream, http), h11.Request | h11.Data):
        if isinstance(event, h11.Request):
            head = event
            idle.deadline = trio.current_time() + SLOWEST_REQUEST_S
        else:
            body += event.data
    return _seen(head, bytes(body)) if head is not None and isinstance(event, h11.EndOfMessage) else None


async def _next_event(stream: trio.abc.Stream, http: h11.Connection) -> h11.Event | None:
    await trio.lowlevel.checkpoint()
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            http.receive_data(await _receive(stream))
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Event) else None


async def _receive(stream: trio.abc.Stream) -> bytes:
    try:
        return bytes(await stream.receive_some(65_536))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""


def _seen(head: h11.Request, body: bytes) -> SeenRequest:
    path, _, query = head.target.decode("ascii").partition("?")
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
    return SeenRequest(head.method.decode("ascii"), path, query, headers, body, trio.current_time())


def _response(status: int, headers: Headers) -> h11.Response:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    return h11.Response(status_code=status, headers=list(headers), reason=reason)
