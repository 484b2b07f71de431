"""An HTTP engine in memory: what a client dials, what it is answered, and which of its connections are still open.

A test writes the engine's side as a plain async function over a byte stream. Time is virtual where the test asks for
`autojump_clock`. `cancel_sweep` cuts a piece of work at every step that it takes.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import trio
import trio.testing

from http_util.egress import GuardedTransport
from http_util.status import EngineReply, classify
from http_util.transport import TrioTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    import httpx

    from adapter_api import WorkerError

BASE = "http://engine.test:8080"
EVENTS = "text/event-stream"


def plain_classify(reply: EngineReply) -> WorkerError:
    """Classify without rules of an engine and without secrets."""
    return classify(reply, redact=lambda text: text, now=0.0)


def transport_of(client: httpx.AsyncClient) -> TrioTransport:
    """Return the transport behind the egress policy."""
    assert isinstance(client._transport, GuardedTransport)
    assert isinstance(client._transport.inner, TrioTransport)
    return client._transport.inner


def response(body: bytes = b"", *, status: int = 200, close: bool = False, **headers: str) -> bytes:
    """Return a whole response with a length."""
    fields = {"content-length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
    if close:
        fields["connection"] = "close"
    lines = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
    return f"HTTP/1.1 {status} Words\r\n{lines}\r\n".encode() + body


def stream_head(content_type: str = EVENTS) -> bytes:
    """Return the head of a chunked response."""
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def event(data: str) -> bytes:
    """Return one event in one chunk."""
    return chunk(f"data: {data}\n\n".encode())


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at the given places (modulo their length); no piece is empty."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges) if start < stop]


class WatchedStream(trio.abc.Stream):
    """A client's end that knows whether it was closed."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.is_closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        self.is_closed = True
        await self.inner.aclose()


class SyncStream(WatchedStream):
    """The same, for one that can be closed without waiting, as sockets can."""

    def close(self) -> None:
        self.is_closed = True
        assert isinstance(self.inner, trio.StapledStream)
        self.inner.send_stream.close()
        self.inner.receive_stream.close()


@dataclass
class Seen:
    """A request as the engine read it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Engine:
    """The engine's side: accepts dials and answers each connection with `serve`."""

    def __init__(self, nursery: trio.Nursery, serve: Callable[[Peer], Awaitable[None]]) -> None:
        self._nursery = nursery
        self._serve = serve
        self.client_ends: list[WatchedStream] = []
        self.seen: list[Seen] = []
        self.stream_type: type[WatchedStream] = SyncStream
        self.dial_s = 0.0

    @property
    def open_connections(self) -> int:
        """How many connections the client has not closed."""
        return sum(not end.is_closed for end in self.client_ends)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Connect, after `dial_s` seconds."""
        await trio.sleep(self.dial_s)
        client, server = trio.testing.memory_stream_pair()
        end = self.stream_type(client)
        self.client_ends.append(end)
        self._nursery.start_soon(self._run, Peer(server, self.seen, len(self.client_ends)))
        return end

    async def _run(self, peer: Peer) -> None:
        try:
            await self._serve(peer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client left
        finally:
            with trio.CancelScope(shield=True) as scope:
                scope.cancel()
                await peer.stream.aclose()


@dataclass
class Peer:
    """One connection as the engine sees it; `number` counts from 1."""

    stream: trio.abc.Stream
    seen: list[Seen]
    number: int
    _buffer: bytearray = field(default_factory=bytearray)

    async def request(self) -> Seen | None:
        """Read the next request; None when the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._fill():
                return None
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
        method, target, _ = first.split(" ")
        length = int(headers.get("content-length", 0))
        self._buffer = bytearray(rest)
        while len(self._buffer) < length:
            if not await self._fill():
                return None
        seen = Seen(method, target, headers, bytes(self._buffer[:length]))
        del self._buffer[:length]
        self.seen.append(seen)
        return seen

    async def send(self, *pieces: bytes) -> None:
        """Send bytes, one piece per write."""
        for piece in pieces:
            await self.stream.send_all(piece)

    async def wait_gone(self) -> None:
        """Wait until the client has closed."""
        while await self._fill():
            pass

    async def _fill(self) -> bool:
        data = await self.stream.receive_some()
        self._buffer += data
        return bool(data)


@asynccontextmanager
async def engine(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Engine]:
    """Run an engine for the block; an error of the block leaves as it is, not in a group."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield Engine(nursery, serve)
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def answering(*answers: Iterable[bytes]) -> Callable[[Peer], Awaitable[None]]:
    """Return an engine that gives each request of a connection the next answer, then waits for the client to go."""

    async def serve(peer: Peer) -> None:
        for answer in answers:
            if await peer.request() is None:
                return
            await peer.send(*answer)
        await peer.wait_gone()

    return serve


class _AtStep(trio.abc.Instrument):
    """Does something just before the n-th step of one task."""

    def __init__(self, task: trio.lowlevel.Task, n: int, act: Callable[[], None]) -> None:
        self._task = task
        self._n = n
        self._act = act
        self.steps = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.steps += 1
            if self.steps == self._n:
                self._act()


async def act_at_step(n: int, act: Callable[[], None], work: Callable[[], Awaitable[None]]) -> bool:
    """Run `work` and call `act` just before its n-th step; False if it took fewer."""
    instrument = _AtStep(trio.lowlevel.current_task(), n, act)
    trio.lowlevel.add_instrument(instrument)
    try:
        await work()
    finally:
        trio.lowlevel.remove_instrument(instrument)
    return instrument.steps >= n


async def cancel_sweep(work: Callable[[], Awaitable[None]], check: Callable[[int], Awaitable[None]]) -> int:
    """Run `work` again and again, cancelled at its 1st, 2nd, ... step, until it ends uncut; `check(n)` after each.

    Returns how many cuts there were.
    """
    n = 0
    reached = True
    while reached:
        n += 1
        with trio.CancelScope() as scope:
            reached = await act_at_step(n, scope.cancel, work)
        await check(n)
    return n - 1
