"""A client of HTTP/1.1 with every byte under control: what is sent, what is read, and when it came.

`h11` knows the protocol. Nothing is read ahead: a client that is not asked to read leaves the bytes where they are, as
a stalled one does. The reader of events is strict: it takes the service's own form of a frame and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, final

import h11
import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Headers = Iterable[tuple[str, str]]

PATIENCE_S = 600.0
"""Longer than any bound of the service: a test that waits this long has found a hang."""
_FRAME = re.compile(rb"id: ([1-9][0-9]*)\nevent: ([a-z]+)\ndata: ([^\n]*)\n\n")
HEARTBEAT = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def data(self) -> dict[str, object]:
        """The JSON object in the body."""
        return msgspec.json.decode(self.body, type=dict[str, object])

    @property
    def code(self) -> object:
        """The error's code, None without one."""
        return self.data.get("code") if self.body else None

    @property
    def message(self) -> str:
        """The error's message."""
        return str(self.data["message"])


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, and the time at which its last byte was read."""

    id: int
    event: str
    raw: bytes
    at: float = field(compare=False)

    @property
    def data(self) -> dict[str, object]:
        """The payload."""
        return msgspec.json.decode(self.raw, type=dict[str, object])

    @property
    def text(self) -> str:
        """The text of a token frame, empty for any other."""
        return str(self.data["t"]) if self.event == "token" else ""


@final
class RawClient:
    """One connection. `wire` keeps every piece that was read, with its time on Trio's clock."""

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream = stream
        self.wire: list[tuple[float, bytes]] = []
        self._http = h11.Connection(h11.CLIENT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self.stream)

    async def close(self) -> None:
        """Go away."""
        await trio.aclose_forcefully(self.stream)

    async def send(self, method: str, path: str, *, headers: Headers = (), body: bytes | None = None) -> None:
        """Send one request, its body (if any) with its length; a server that stops listening may have answered."""
        length = [] if body is None else [("Content-Length", str(len(body)))]
        await self.send_head(method, path, headers=[*length, *headers])
        try:
            if body:
                await self.send_event(h11.Data(data=body))
            await self.send_event(h11.EndOfMessage())
        except trio.BrokenResourceError:
            pass

    async def send_head(self, method: str, path: str, *, headers: Headers = ()) -> None:
        """Send the head of a request."""
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in (("Host", "service.test"), *headers)]
        await self.send_event(h11.Request(method=method, target=path, headers=encoded))

    async def send_event(self, event: h11.Event) -> None:
        """Send one event of h11's."""
        await self.stream.send_all(self._http.send(event) or b"")

    async def call(self, method: str, path: str, *, headers: Headers = (), body: bytes | None = None) -> Reply:
        """Send a request and read its answer to the end."""
        await self.send(method, path, headers=headers, body=body)
        return await self.reply()

    async def reply(self) -> Reply:
        """Read one answer to the end; the connection is then free for the next request."""
        head = await self.head()
        body = b"".join([piece async for piece in self.pieces()])
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Reply(head.status, head.headers, body)

    async def head(self) -> Reply:
        """Read the head of an answer."""
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Response):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                return Reply(event.status_code, headers)
            assert isinstance(event, h11.InformationalResponse), event

    def pieces(self) -> Self:
        """Iterate over the pieces of the body as they come."""
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        event = await self._next_event()
        if isinstance(event, h11.EndOfMessage):
            raise StopAsyncIteration
        assert isinstance(event, h11.Data), event
        return bytes(event.data)

    async def receive(self) -> bytes:
        """Read what there is, past the protocol; empty at the end of the stream."""
        with trio.fail_after(PATIENCE_S):
            data = bytes(await self.stream.receive_some())
        self.wire.append((trio.current_time(), data))
        return data

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self.receive())
        assert event is not h11.NEED_DATA
        return event  # type: ignore[return-value]  # h11's sentinels are classes that mypy cannot narrow by identity


@final
class Events:
    """The frames of one stream, as they are read; `heartbeats` has the times of the comments."""

    def __init__(self, client: RawClient, head: Reply) -> None:
        self.client = client
        self.head = head
        self.frames: list[Frame] = []
        self.pieces: list[tuple[float, bytes]] = []
        self.heartbeats: list[float] = []
        self._buffer = b""
        self._waiting: list[Frame] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        while not self._waiting:
            try:
                piece = await self.client.__anext__()
            except StopAsyncIteration:
                assert not self._buffer, f"the body ended inside a frame: {self._buffer!r}"
                raise
            self.pieces.append((trio.current_time(), piece))
            self._buffer += piece
            self._take()
        return self._waiting.pop(0)

    async def until(self, event: str, *, count: int = 1) -> Frame:
        """Read on to the n-th next frame of this kind."""
        async for frame in self:
            count -= frame.event == event
            if not count:
                return frame
        raise AssertionError(f"no {event} in {self.kinds}")

    async def rest(self) -> list[Frame]:
        """Read to the end of the body; return every frame of the stream."""
        async for _ in self:
            pass
        return self.frames

    @property
    def kinds(self) -> list[str]:
        """The kinds of the frames read so far."""
        return [frame.event for frame in self.frames]

    @property
    def text(self) -> str:
        """What the token frames say."""
        return "".join(frame.text for frame in self.frames)

    async def close(self) -> None:
        """Go away."""
        await self.client.close()

    def _take(self) -> None:
        while self._buffer:
            if self._buffer.startswith(HEARTBEAT):
                self._buffer = self._buffer.removeprefix(HEARTBEAT)
                self.heartbeats.append(trio.current_time())
                continue
            if b"\n\n" not in self._buffer:
                return
            match = _FRAME.match(self._buffer)
            assert match is not None, f"not a frame: {self._buffer!r}"
            self._buffer = self._buffer[match.end() :]
            frame = Frame(int(match[1]), match[2].decode(), match[3], trio.current_time())
            self.frames.append(frame)
            self._waiting.append(frame)
