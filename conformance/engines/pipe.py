"""Byte streams in memory that behave like TCP.

Bounded: a sender waits while `capacity` bytes are under way. Ordered, closable in halves, and resettable. Bytes take
`latency_s`. One `receive_some` gives bytes of one `send_all` only, so a test decides how a message arrives in pieces.
All waiting is Trio's, so virtual time works. It does not lose, repeat or reorder: neither does TCP.
"""

from __future__ import annotations

import operator
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import trio
from trio.abc import HalfCloseableStream

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_CAPACITY_BYTES = 65_536
"""About what a socket buffers on loopback."""


@final
class _OneAtATime:
    """Refuse a second task on one end of a lane, as sockets in Trio do."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        if self._is_held:
            raise trio.BusyResourceError(f"another task is already {self._what}")
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False


@final
class _Lane:
    """One direction: at most `capacity` bytes between a sender and a receiver."""

    def __init__(self, capacity: int, latency_s: float) -> None:
        self._capacity = capacity
        self._latency_s = latency_s
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._changed = trio.lowlevel.ParkingLot()
        self._sending = _OneAtATime("sending on this stream")
        self._receiving = _OneAtATime("receiving from this stream")
        self._fin_due: float | None = None
        self._is_sender_closed = False
        self._is_receiver_closed = False
        self._is_reset = False

    async def send_all(self, data: bytes) -> None:
        with self._sending.held():
            await trio.lowlevel.checkpoint()
            self._check_can_send()
            while data:
                await self._wait_room()
                room = self._capacity - self._size
                self._put(data[:room])
                data = data[room:]

    async def wait_room(self) -> None:
        with self._sending.held():
            await trio.lowlevel.checkpoint()
            self._check_can_send()
            await self._wait_room()

    async def send_eof(self) -> None:
        with self._sending.held():
            await trio.lowlevel.checkpoint()
            self.close_sender()

    async def receive_some(self, max_bytes: int | None) -> bytes:
        limit = _checked_limit(max_bytes)
        with self._receiving.held():
            await trio.lowlevel.checkpoint()
            await self._wait_arrival()
            if not self._under_way:
                return b""
            return self._take(limit)

    def close_sender(self) -> None:
        if not self._is_sender_closed:
            self._is_sender_closed = True
            self._fin_due = trio.current_time() + self._latency_s
            self._changed.unpark_all()

    def close_receiver(self) -> None:
        self._is_receiver_closed = True
        self._drop()

    def reset(self) -> None:
        self._is_reset = True
        self._drop()

    def _drop(self) -> None:
        self._under_way.clear()
        self._size = 0
        self._changed.unpark_all()

    def _check_can_send(self) -> None:
        if self._is_sender_closed:
            raise trio.ClosedResourceError("this end was closed for sending")
        if self._is_receiver_closed or self._is_reset:
            raise trio.BrokenResourceError("the peer is gone")

    async def _wait_room(self) -> None:
        while self._size >= self._capacity:
            await self._changed.park()
            self._check_can_send()

    async def _wait_arrival(self) -> None:
        while not self._has_arrived():
            due = self._due()
            with trio.CancelScope() as until_due:
                if due is not None:
                    until_due.deadline = due
                await self._changed.park()

    def _has_arrived(self) -> bool:
        """Whether bytes, or the end, are there to be read; raise if the lane is closed here or reset."""
        if self._is_receiver_closed:
            raise trio.ClosedResourceError("this end was closed")
        if self._is_reset:
            raise trio.BrokenResourceError("connection reset by the peer")
        due = self._due()
        return due is not None and due <= trio.current_time()

    def _due(self) -> float | None:
        return self._under_way[0][0] if self._under_way else self._fin_due

    def _put(self, piece: bytes) -> None:
        self._under_way.append((trio.current_time() + self._latency_s, piece))
        self._size += len(piece)
        self._changed.unpark_all()

    def _take(self, limit: int | None) -> bytes:
        due, piece = self._under_way.popleft()
        if limit is not None and len(piece) > limit:
            self._under_way.appendleft((due, piece[limit:]))
            piece = piece[:limit]
        self._size -= len(piece)
        self._changed.unpark_all()
        return piece


@final
class PipeEnd(HalfCloseableStream):
    """One end of a pipe; the other end is the same thing with the lanes swapped."""

    def __init__(self, outgoing: _Lane, incoming: _Lane) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self.is_closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand the bytes over, waiting for room; `BrokenResourceError` if the peer is gone.

        Cancelled: some prefix was sent.
        """
        await self._outgoing.send_all(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room for at least one byte."""
        await self._outgoing.wait_room()

    async def send_eof(self) -> None:
        """Close the sending half; receiving goes on."""
        await self._outgoing.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return bytes of one `send_all` of the peer, or `b""` at its end; `BrokenResourceError` after a reset.

        Cancelled: nothing is lost.
        """
        return await self._incoming.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close both halves at once; what is under way to the peer still arrives."""
        self.is_closed = True
        self._outgoing.close_sender()
        self._incoming.close_receiver()
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Close like a TCP reset: what is under way is lost and the peer's calls raise `BrokenResourceError`."""
        self.is_closed = True
        self._outgoing.reset()
        self._outgoing.close_sender()
        self._incoming.close_receiver()


def open_pipe(*, capacity: int = DEFAULT_CAPACITY_BYTES, latency_s: float = 0.0) -> tuple[PipeEnd, PipeEnd]:
    """Return two connected ends; `capacity` bounds the bytes under way in each direction."""
    there, back = _Lane(capacity, latency_s), _Lane(capacity, latency_s)
    return PipeEnd(there, back), PipeEnd(back, there)


def _checked_limit(max_bytes: int | None) -> int | None:
    if max_bytes is None:
        return None
    limit = operator.index(max_bytes)
    if limit < 1:
        raise ValueError("max_bytes must be at least 1")
    return limit
