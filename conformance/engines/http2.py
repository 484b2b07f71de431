"""HTTP/2 for doubles: one connection, many exchanges at once, every byte under control.

`h2` knows the protocol; this file moves the bytes, waits for flow-control windows, and can misbehave on request: bytes
in any pieces, a frame cut in the middle, a reset of the whole connection. A handler reads the body of its request while
it answers. What a client sends is acknowledged when a handler has taken it, so a handler holds its client back.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import trio

from .http1 import SeenRequest, reset_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .http1 import Headers

    Handler = Callable[["Http2Exchange"], Awaitable[None]]


def _tells_nothing_read(record: logging.LogRecord) -> bool:
    """Keep what an engine is sent out of the log: there it would pass for something that its client has logged."""
    return not record.msg.startswith("Decod") if isinstance(record.msg, str) else True


@final
class Http2Exchange:
    """One request and the answer to it. When the client leaves, `gone` is set and the handler is cancelled."""

    def __init__(self, connection: _Connection, number: int, request: SeenRequest) -> None:
        self.request = request
        self.gone = trio.Event()
        self.is_started = False
        self.is_ended = False
        self.scope = trio.CancelScope()
        self._connection = connection
        self._number = number
        self._arrived: deque[tuple[bytes, int]] = deque()
        self._is_whole = False
        self._changed = trio.lowlevel.ParkingLot()

    async def receive(self) -> bytes:
        """Return what arrived of the request's body next; `b""` at its end. Cancelled: nothing is lost."""
        await trio.lowlevel.checkpoint()
        while not self._arrived and not self._is_whole:
            await self._changed.park()
        if not self._arrived:
            return b""
        data, size = self._arrived.popleft()
        await self._connection.acknowledge(self._number, size)
        return data

    def split_at(self, sizes: tuple[int, ...]) -> None:
        """From here on write the connection's bytes in pieces of these sizes, over and over."""
        self._connection.split_at(sizes)

    def cut_after(self, size: int) -> None:
        """Close the connection when so many more bytes were written to it."""
        self._connection.cut_after(size)

    def hold(self) -> None:
        """Do nothing: each frame leaves by itself."""

    async def release(self) -> None:
        """Do nothing: nothing is held."""

    async def answer(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        """Send a complete answer."""
        length = (*headers, ("content-length", str(len(body))))
        await self.start(status, content_type, length)
        await self.send(body)
        await self.end()

    async def start(self, status: int, content_type: str, headers: Headers = ()) -> None:
        """Send the head of an answer."""
        self.is_started = True
        head = [(":status", str(status)), ("content-type", content_type), *((n.lower(), v) for n, v in headers)]
        await self._connection.send_headers(self._number, head)

    async def answer_head(self, headers: Headers) -> None:
        """Send an answer that is a head alone."""
        self.is_started = self.is_ended = True
        await self._connection.send_headers(self._number, [(":status", "200"), *headers], is_last=True)

    async def send(self, data: bytes) -> None:
        """Send bytes of the body, waiting for the client's window; no bytes, no frame."""
        await self._connection.send_data(self._number, data)

    async def trailers(self, headers: Headers) -> None:
        """End the answer with trailers."""
        self.is_ended = True
        await self._connection.send_headers(self._number, list(headers), is_last=True)

    async def end(self, *, closes: bool = False) -> None:
        """End the answer without trailers; `closes` the connection after it."""
        self.is_ended = True
        await self._connection.end(self._number)
        if closes:
            await self._connection.close()

    async def cut(self) -> None:
        """Close the connection in the middle of a frame."""
        self.is_ended = True
        await self._connection.cut(self._number)

    def reset(self) -> None:
        """Reset the connection, with everything on it."""
        self.is_ended = True
        self._connection.reset()

    def arrive(self, data: bytes, size: int) -> None:
        """Take in bytes of the body; `size` is what they count for in the window."""
        self._arrived.append((data, size))
        self._changed.unpark_all()

    def finish_request(self) -> None:
        """Note that the body is whole."""
        self._is_whole = True
        self._changed.unpark_all()

    def leave(self) -> None:
        """Note that the client has left, unless the answer is complete."""
        if not self.is_ended:
            self.gone.set()
        self.scope.cancel()


async def serve_http2(stream: trio.abc.Stream, handler: Handler) -> None:
    """Answer the requests of one connection until either side has enough; the caller closes the stream."""
    logging.getLogger("hpack.hpack").addFilter(_tells_nothing_read)
    async with trio.open_nursery() as nursery:
        connection = _Connection(stream, handler, nursery)
        await connection.run()
        nursery.cancel_scope.cancel()


@final
class _Connection:
    """A connection and its exchanges."""

    def __init__(self, stream: trio.abc.Stream, handler: Handler, nursery: trio.Nursery) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self._stream = stream
        self._handler = handler
        self._nursery = nursery
        self._h2 = h2.connection.H2Connection(config)
        self._exchanges: dict[int, Http2Exchange] = {}
        self._unsent = bytearray()
        self._to_send = trio.Event()
        self._made = self._sent = 0
        self._progress = trio.lowlevel.ParkingLot()
        self._windows = trio.lowlevel.ParkingLot()
        self._sizes: Iterator[int] | None = None
        self._left: int | None = None
        self._is_cut = False
        self._is_over = False

    async def run(self) -> None:
        """Read until the client has no more; then every exchange is left."""
        self._nursery.start_soon(self._send_on)
        self._h2.initiate_connection()
        await self._flush()
        try:
            while not self._is_over and (data := await self._receive()):
                for event in self._h2.receive_data(data):
                    self._take(event)
                await self._flush()
        except h2.exceptions.ProtocolError:
            await self._flush()
        for exchange in list(self._exchanges.values()):
            exchange.leave()

    def split_at(self, sizes: tuple[int, ...]) -> None:
        self._sizes = itertools.cycle(sizes)

    def cut_after(self, size: int) -> None:
        self._left = size

    async def acknowledge(self, number: int, size: int) -> None:
        if number in self._exchanges:
            self._h2.acknowledge_received_data(size, number)
            await self._flush()

    async def send_headers(self, number: int, headers: list[tuple[str, str]], *, is_last: bool = False) -> None:
        if self._is_open(number):
            self._h2.send_headers(number, headers, end_stream=is_last)
        await self._flush()

    async def send_data(self, number: int, data: bytes) -> None:
        while data and self._is_open(number):
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                await self._windows.park()
                continue
            self._h2.send_data(number, data[:room])
            data = data[room:]
            await self._flush()

    async def end(self, number: int) -> None:
        if self._is_open(number):
            self._h2.end_stream(number)
        await self._flush()

    async def close(self) -> None:
        self._is_cut = True
        await self._stream.aclose()

    async def cut(self, number: int) -> None:
        """Promise a DATA frame of 64 bytes that never come."""
        self._put(self._h2.data_to_send() + b"\x00\x00\x40\x00\x00" + number.to_bytes(4, "big") + b"\x00")
        await self._flush()
        await self.close()

    def reset(self) -> None:
        self._is_cut = True
        reset_stream(self._stream)

    def _is_open(self, number: int) -> bool:
        return number in self._exchanges and not self._exchanges[number].gone.is_set()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._begin(event)
            case h2.events.DataReceived() if event.stream_id in self._exchanges:
                self._exchanges[event.stream_id].arrive(event.data, event.flow_controlled_length)
            case h2.events.StreamEnded() if event.stream_id in self._exchanges:
                self._exchanges[event.stream_id].finish_request()
            case h2.events.StreamReset() if event.stream_id in self._exchanges:
                self._exchanges[event.stream_id].leave()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._windows.unpark_all()
            case h2.events.ConnectionTerminated():
                self._is_over = True
            case _:
                pass

    def _begin(self, event: h2.events.RequestReceived) -> None:
        headers = {str(name): str(value) for name, value in event.headers}
        path, _, query = headers.get(":path", "").partition("?")
        request = SeenRequest(headers.get(":method", ""), path, query, headers)
        exchange = Http2Exchange(self, event.stream_id, request)
        self._exchanges[event.stream_id] = exchange
        self._nursery.start_soon(self._answer, exchange, event.stream_id)

    async def _answer(self, exchange: Http2Exchange, number: int) -> None:
        try:
            with exchange.scope:
                await self._handler(exchange)
            if not exchange.gone.is_set() and not exchange.is_ended:
                await self._abandon(number)
        finally:
            del self._exchanges[number]

    async def _abandon(self, number: int) -> None:
        """Reset a stream whose handler has left it open."""
        self._h2.reset_stream(number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await self._flush()

    async def _flush(self) -> None:
        """Have everything written. Cancelled: it will be all the same, for other exchanges are on this connection."""
        self._put(self._h2.data_to_send())
        due = self._made
        await trio.lowlevel.checkpoint()
        while self._sent < due and not self._is_cut:
            await self._progress.park()

    def _put(self, data: bytes) -> None:
        self._unsent += data
        self._made += len(data)
        self._to_send.set()

    async def _send_on(self) -> None:
        while not self._is_cut:
            await self._to_send.wait()
            self._to_send = trio.Event()
            data = bytes(self._unsent)
            self._unsent.clear()
            await self._send_all(data)
            await self._count(len(data))
            self._sent += len(data)
            self._progress.unpark_all()

    async def _send_all(self, data: bytes) -> None:
        try:
            for piece in self._pieces(data if self._left is None else data[: self._left]):
                await self._stream.send_all(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._is_cut = True

    async def _count(self, size: int) -> None:
        """Close the connection at the byte that was to be the last."""
        if self._left is not None:
            self._left = max(0, self._left - size)
        if self._left == 0 and not self._is_cut:
            await self.close()

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        if self._sizes is None:
            yield data
            return
        while data:
            size = next(self._sizes)
            yield data[:size]
            data = data[size:]

    async def _receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(65_536))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""
