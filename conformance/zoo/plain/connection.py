"""One request on a connection of its own, and its answer. Every error is a `WorkerError` that quotes nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import h11
import trio

from adapter_api import AdapterError, WorkerReset

if TYPE_CHECKING:
    from collections.abc import Sequence

    Headers = Sequence[tuple[str, str]]

_READ_BYTES = 65_536
_LARGEST_ANSWER = 4 * 1_048_576


class Connection:
    """HTTP/1.1 on a byte stream; `trio.ClosedResourceError` leaves it where `close` was called meanwhile."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)
        self.is_reset = False

    async def send(self, method: str, path: str, headers: Headers, body: bytes = b"") -> None:
        """Send a request, and that it is the last one."""
        size = [("content-length", str(len(body)))] if body else []
        head = h11.Request(method=method, target=path, headers=[*headers, *size, ("connection", "close")])
        wire = [self.http.send(head), self.http.send(h11.Data(data=body)), self.http.send(h11.EndOfMessage())]
        try:
            await self.stream.send_all(b"".join(each for each in wire if each))
        except trio.BrokenResourceError:
            return  # it may have been refused before it was read: the answer says so, if there is one

    async def head(self) -> h11.Response:
        """Return the head of the answer."""
        event = await self.event()
        while isinstance(event, h11.InformationalResponse):
            event = await self.event()
        if not isinstance(event, h11.Response):
            raise WorkerReset("waiting for the answer: the engine closed the connection")
        return event

    async def piece(self) -> bytes | None:
        """Return bytes of the body as they come, None at its end."""
        event = await self.event()
        return bytes(event.data) if isinstance(event, h11.Data) else None

    async def whole(self) -> bytes:
        """Return the whole body."""
        body = bytearray()
        while (piece := await self.piece()) is not None:
            body += piece
            if len(body) > _LARGEST_ANSWER:
                raise AdapterError("reading the answer: it is larger than 4 MiB")
        return bytes(body)

    async def event(self) -> object:
        """Return what comes next; `WorkerReset` where the connection ends too early."""
        while (event := self.parsed()) is h11.NEED_DATA:
            data = await self.receive()
            if self.is_reset:
                raise WorkerReset("reading the answer: the connection was reset")
            self.http.receive_data(data)
        if event is None:
            self.refuse()
        return event

    def parsed(self) -> object:
        """Return the next event, or None for bytes that are not HTTP."""
        try:
            return self.http.next_event()
        except h11.RemoteProtocolError:
            return None

    def refuse(self) -> NoReturn:
        """Raise what bytes that are not HTTP mean: a connection that was cut, or a server that speaks otherwise."""
        if self.http.trailing_data[1]:
            raise WorkerReset("reading the answer: the connection was closed in the middle of it")
        raise AdapterError("reading the answer: it is not HTTP")

    async def receive(self) -> bytes:
        """Return bytes from the network, none at their end or after a reset."""
        try:
            return bytes(await self.stream.receive_some(_READ_BYTES))
        except trio.BrokenResourceError:
            self.is_reset = True
            return b""

    async def close(self) -> None:
        """Close the connection at once, under cancellation too."""
        await trio.aclose_forcefully(self.stream)
