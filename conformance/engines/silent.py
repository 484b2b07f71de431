"""A connection on which the engine falls silent after so many bytes, and which stays open."""

from __future__ import annotations

from typing import final

import trio


@final
class FallsSilent(trio.abc.Stream):
    """Passes everything on to the engine, and of what the engine says only the first `count` bytes."""

    def __init__(self, inner: trio.abc.Stream, count: int) -> None:
        self._inner = inner
        self._left = count
        self._closed = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send to the engine."""
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the engine said, as long as it may speak; `ClosedResourceError` when this end is closed."""
        if not self._left:
            await self._closed.wait()
            raise trio.ClosedResourceError("this end was closed")
        data = bytes(await self._inner.receive_some(min(self._left, max_bytes or self._left)))
        self._left -= len(data)
        return data

    async def aclose(self) -> None:
        """Close the connection; a reader that waits is woken."""
        self._closed.set()
        await self._inner.aclose()
