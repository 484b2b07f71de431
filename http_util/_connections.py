"""One connection, and the pool that keeps the idle ones.

The pool gives the connection that was used last, unless it has idled for too long or something has arrived on it
meanwhile. Only a connection whose last response was read to its very end comes back; all others are closed. So no
request can meet the rest of somebody else's answer.

`Unanswered` says that a peer closed without a byte of answer, and whether it had the whole request by then: if not, the
request may be sent again whatever its method.

Implements: HTU-1001.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, final

import httpx
import trio

from . import _sockets

if TYPE_CHECKING:
    from ._sockets import Origin
    from ._wire import ResponseParser

READ_BYTES = 65_536
IDLE_S = 4.0
"""Shorter than the 5 s after which uvicorn and cpp-httplib close idle connections: we seldom meet a dead one."""
MAX_IDLE = 64


class Unanswered(Exception):
    """The peer closed without a byte of answer; `sent` tells whether the whole request had been sent to it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__(sent)
        self.sent = sent


@final
class Connection:
    """A connection that carries one exchange at a time."""

    __slots__ = ("_stream", "closed", "idle_until", "origin")

    def __init__(self, origin: Origin, stream: trio.abc.Stream) -> None:
        self.origin = origin
        self._stream = stream
        self.closed = False
        self.idle_until = 0.0

    def __repr__(self) -> str:
        return f"<Connection {self.origin.host}:{self.origin.port} {'closed' if self.closed else 'open'}>"

    async def exchange(self, request: bytes, parser: ResponseParser) -> None:
        """Send a request and read until the response's head is whole.

        Raises `Unanswered` and the errors of `httpx`. The caller closes the connection on every exception.
        """
        sent = await self._send(request)
        answered = False
        while not parser.head_done:
            if parser.failure is not None:
                raise parser.failure
            data = await self._read_head(Unanswered(sent=sent), answered=answered)
            answered = True
            parser.feed(data)

    async def read(self) -> bytes:
        """Return what the peer sends next, b"" at its end; raise `httpx.ReadError`."""
        try:
            return bytes(await self._stream.receive_some(READ_BYTES))  # no copy: it is bytes but for its type
        except (trio.BrokenResourceError, trio.ClosedResourceError) as failure:
            raise httpx.ReadError("the connection broke") from failure

    def is_stale(self, now: float) -> bool:
        """Return whether an idle connection had better not be used."""
        return now >= self.idle_until or _sockets.is_stale(self._stream)

    def sever(self) -> None:
        """Close at once, without waiting, as far as the stream allows."""
        if not self.closed:
            self.closed = _sockets.sever(self._stream)

    async def aclose(self) -> None:
        """Close at once, and wait only where the stream cannot be closed otherwise."""
        if not self.closed:
            self.closed = True
            await _sockets.close(self._stream)

    async def _send(self, request: bytes) -> bool:
        try:
            await self._stream.send_all(request)
        except trio.BrokenResourceError:
            return False  # an early answer, such as a refusal of a large body, may still be there to read
        except trio.ClosedResourceError as failure:
            raise httpx.WriteError("the connection was closed on our side") from failure
        return True

    async def _read_head(self, unanswered: Unanswered, *, answered: bool) -> bytes:
        try:
            data = await self.read()
        except httpx.ReadError as failure:
            if answered or isinstance(failure.__cause__, trio.ClosedResourceError):
                raise
            raise unanswered from failure
        if not data and not answered:
            raise unanswered
        return data


@final
class Pool:
    """Idle connections by origin, and every open one so that all can be closed."""

    __slots__ = ("_doomed", "_idle", "_open")

    def __init__(self) -> None:
        self._doomed: list[Connection] = []  # dropped, but closing them takes an await
        self._idle: defaultdict[Origin, deque[Connection]] = defaultdict(deque)
        self._open: set[Connection] = set()

    def __repr__(self) -> str:
        return f"<Pool open={self.open_count} idle={self.idle_count}>"

    @property
    def open_count(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        """How many of them wait for a request."""
        return sum(map(len, self._idle.values()))

    def add(self, connection: Connection) -> None:
        """Take note of a new connection; it is in use."""
        self._open.add(connection)

    async def take(self, origin: Origin, now: float) -> Connection | None:
        """Return an idle connection that seems alive; dead ones met on the way are closed."""
        while self._doomed:
            await self._doomed.pop().aclose()
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not connection.is_stale(now):
                return connection
            self.drop(connection)
        del self._idle[origin]
        return None

    def give_back(self, connection: Connection, now: float) -> None:
        """Keep a connection for the next request; the one idle for longest goes if there are too many."""
        if connection not in self._open:  # the pool was closed meanwhile
            connection.sever()
            return
        connection.idle_until = now + IDLE_S
        idle = self._idle[connection.origin]
        idle.append(connection)
        while len(idle) > MAX_IDLE or idle[0].idle_until <= now:
            self.drop(idle.popleft())

    def drop(self, connection: Connection) -> None:
        """Close a connection now."""
        self._open.discard(connection)
        connection.sever()
        if not connection.closed:
            self._doomed.append(connection)

    async def aclose(self) -> None:
        """Close every connection, in use or not."""
        self._idle.clear()
        for connection in tuple(self._open):
            self.drop(connection)
        while self._doomed:
            await self._doomed.pop().aclose()
