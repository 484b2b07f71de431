"""A client's connection as Hypercorn sees it: a byte stream whose writes are bounded and which can be cut off.

Hypercorn shields its writes without a deadline, so that a client that stops reading would hold its handler, and a
shutdown, for ever. Here each write has `stall_s` seconds; past that the connection counts as broken. `abort` closes it
at once, whatever is under way, which is what a cancel needs before it may acknowledge.

Implements: SSE-1002, SSE-1003, SSE-1004.
"""

from __future__ import annotations

import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Protocol, final

import trio

KEEP_ALIVE_S = 75.0
"""How long an idle connection is kept, in seconds: longer than the usual proxy keeps its own."""
LINGER_S = 1.0
"""How long a client that still sends is listened to after its answer, in seconds: a close would destroy the answer."""
RESET = struct.pack("ii", 1, 0)
"""The option that makes a close a reset."""
NEVER = float("inf")
"""While a request is under way, its own bounds hold and not this connection's."""


class Transport(Protocol):
    """What a connection needs of the stream below it."""

    async def send_all(self, data: bytes) -> None:
        """Send everything."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what there is."""

    async def send_eof(self) -> None:
        """Say that nothing more comes."""

    async def aclose(self) -> None:
        """Close."""


class Socket(Protocol):
    """What a connection asks about its addresses."""

    @property
    def family(self) -> int:
        """The address family."""

    def getpeername(self) -> tuple[str, int]:
        """The client's address."""

    def getsockname(self) -> tuple[str, int]:
        """Our own."""

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option."""

    def close(self) -> None:
        """Close without waiting; whoever uses the stream above is woken."""


@final
class Connection:
    """One client."""

    def __init__(self, transport: Transport, socket: Socket, *, stall_s: float) -> None:
        self.socket = socket
        self.scope = trio.CancelScope()
        self._transport = transport
        self._stall_s = stall_s
        self._write: trio.CancelScope | None = None
        self._reading = trio.CancelScope()
        self._is_idle = False
        self._receive_until = NEVER
        self._is_closed = False

    async def send_all(self, data: bytes) -> None:
        """Send everything; BrokenResourceError if the client does not take it in time or was cut off."""
        if self._is_closed:
            raise trio.ClosedResourceError("the connection was cut off")
        with trio.move_on_after(self._stall_s) as self._write:
            await self._transport.send_all(data)
        if self._write.cancelled_caught:
            self.cut_off()
            raise trio.BrokenResourceError("the client does not read")
        self._write = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way; setting it begins or ends the time that an idle connection is kept."""
        return self._is_idle

    @is_idle.setter
    def is_idle(self, is_idle: bool) -> None:
        self._is_idle = is_idle
        self._receive_until = trio.current_time() + KEEP_ALIVE_S if is_idle else NEVER
        self._reading.deadline = self._receive_until

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what there is; nothing, as at the end, once the connection has been idle for too long."""
        with trio.CancelScope(deadline=self._receive_until) as self._reading:
            return await self._transport.receive_some(max_bytes)
        return b""

    async def send_eof(self) -> None:
        """Say that nothing more comes, unless nobody is there to hear it."""
        if not self._is_closed:
            with trio.move_on_after(self._stall_s):
                await self._transport.send_eof()

    def linger(self) -> None:
        """Receive for a moment more, and then no longer."""
        self._receive_until = trio.current_time() + LINGER_S
        self._reading.deadline = self._receive_until

    def cut_off(self) -> None:
        """Reset the connection at once: what the system has taken from us and not sent yet is thrown away."""
        if not self._is_closed:
            self.socket.setsockopt(SOL_SOCKET, SO_LINGER, RESET)
            self.socket.close()
        self.abort()

    def abort(self) -> None:
        """Close at once, without waiting for a write that is under way, and cancel the connection's tasks."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._write is not None:
            self._write.cancel()
        self.scope.cancel()
