"""A client's connection as Hypercorn sees it: a byte stream whose writes are bounded and which can be cut off.

Hypercorn shields its writes without a deadline, so that a client that stops reading would hold its handler, and a
shutdown, for ever. Here each write has `stall_s` seconds; past that the connection counts as broken. `abort` closes it
at once, whatever is under way, which is what a cancel needs before it may acknowledge.

Implements: SSE-1002, SSE-1003, SSE-1004.
"""

from __future__ import annotations

from typing import Protocol, final

import trio


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


@final
class Connection:
    """One client. `socket` answers Hypercorn's question for the addresses."""

    def __init__(self, transport: Transport, socket: object, *, stall_s: float) -> None:
        self.socket = socket
        self.scope = trio.CancelScope()
        self._transport = transport
        self._stall_s = stall_s
        self._write: trio.CancelScope | None = None
        self._is_closed = False

    async def send_all(self, data: bytes) -> None:
        """Send everything; BrokenResourceError if the client does not take it in time or was cut off."""
        if self._is_closed:
            raise trio.ClosedResourceError("the connection was cut off")
        with trio.move_on_after(self._stall_s) as self._write:
            await self._transport.send_all(data)
        if self._write.cancelled_caught:
            self.abort()
            raise trio.BrokenResourceError("the client does not read")
        self._write = None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive what there is."""
        return await self._transport.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Say that nothing more comes, unless nobody is there to hear it."""
        if not self._is_closed:
            with trio.move_on_after(self._stall_s):
                await self._transport.send_eof()

    async def aclose(self) -> None:
        """Close, and end whatever still works on this connection's behalf."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def abort(self) -> None:
        """Close at once, without waiting for a write that is under way, and cancel the connection's tasks."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._write is not None:
            self._write.cancel()
        self.scope.cancel()
