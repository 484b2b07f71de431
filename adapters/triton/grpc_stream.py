"""A gRPC call over a connection of its own, as the body of a stream.

One connection carries one call. So a cancel is the closing of a socket, in the same stretch without a wait in which the
stream is sealed; it needs no frame that would have to be written first, and no neighbour's tokens wait behind it. The
server ends the call when the connection goes (measured in docs/engines/triton.md).

Deadlines belong to `http_util.stream`, which reads this body.

Implements: OC-ADAPT-5060, ADAPT-3005, HTU-1005.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, final

import trio

from adapter_api import AdapterError, PoolUnavailable, WorkerReset
from http_util.dialling import close, connected, sever

from .grpc_call import Call
from .grpc_status import error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from adapter_api import AdapterContext, WorkerError
    from http_util.dialling import Endpoint
    from http_util.status import EngineReply

    from .grpc_call import CallHead

READ_BYTES = 65_536
CLOSE_S = 1.0
SEND_S = 1.0
"""The longest that a server may take to accept a few bytes of acknowledgements."""


@asynccontextmanager
async def open_call(
    endpoint: Endpoint,
    context: AdapterContext,
    head: CallHead,
    message: bytes,
    *,
    connect_s: float,
    phase: str,
    failure: Callable[[EngineReply], WorkerError],
    calls: OpenCalls,
) -> AsyncIterator[CallBody]:
    """Connect, send the request and wait for the answer's head; raise `WorkerError`.

    Leaving the block closes the connection, which cancels a call that is under way; so does the closing of `calls`.
    """
    async with connected(endpoint, context, connect_s=connect_s, phase=phase) as stream:
        body = CallBody(stream, Call(head, message), phase, failure)
        with calls.holding(body, phase):
            await body.begin()
            yield body


@final
class OpenCalls:
    """The calls that are under way, until there are to be none any more."""

    __slots__ = ("_is_closed", "_open")

    def __init__(self) -> None:
        self._open: set[CallBody] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def holding(self, body: CallBody, phase: str) -> Iterator[None]:
        """Hold a call for the time of a block; raise `PoolUnavailable` once closed."""
        if self._is_closed:
            raise PoolUnavailable(f"{phase}: the adapter is closed", retriable=False)
        self._open.add(body)
        try:
            yield
        finally:
            self._open.discard(body)

    async def aclose(self) -> None:
        """Close every call, in at most a second, and take no more."""
        self._is_closed = True
        with trio.move_on_after(CLOSE_S, shield=True):
            for body in tuple(self._open):
                await body.aclose()


@final
class CallBody:
    """The answer of one call, for one reader."""

    __slots__ = ("_call", "_failure", "_has_spoken", "_phase", "_stream")

    def __init__(
        self, stream: trio.abc.Stream, call: Call, phase: str, failure: Callable[[EngineReply], WorkerError]
    ) -> None:
        self._stream = stream
        self._call = call
        self._phase = phase
        self._failure = failure
        self._has_spoken = False

    def __repr__(self) -> str:
        return f"<CallBody {self._call!r}>"

    async def begin(self) -> None:
        """Send the request and wait for the head; raise the `WorkerError` that came in its place."""
        await self._send(self._call.to_send())
        while not self._call.has_head and self._call.outcome is None:
            await self._read()
            await self._send(self._call.to_send())
        if not self._call.has_head:
            self._raise_failure()

    async def receive(self) -> bytes:
        """Return the next bytes of the answer, b"" once the server has ended the call well; raise `WorkerError`.

        Cancelled loses nothing.
        """
        call = self._call
        while not call.pieces:
            if call.outcome is not None:
                self._raise_failure()
                return b""
            await self._read()
            await self._acknowledge()
        data = b"".join(call.pieces)
        call.pieces.clear()
        self._has_spoken = True
        return data

    def close_nowait(self) -> None:
        """Close the connection where that needs no wait; a reader that waits gets a `WorkerError`."""
        self._call.pieces.clear()
        sever(self._stream)

    async def aclose(self) -> None:
        """Close the connection."""
        self._call.pieces.clear()
        await close(self._stream)

    async def _read(self) -> None:
        data = None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # their texts are to be no one's context
            data = await self._stream.receive_some(READ_BYTES)
        if data is None:
            raise WorkerReset(f"{self._phase}: the connection broke")
        self._call.receive(bytes(data))

    async def _acknowledge(self) -> None:
        if reply := self._call.to_send():
            with trio.move_on_after(SEND_S, shield=True) as patience:  # half a frame would spoil the connection
                await self._send(reply)
            if patience.cancelled_caught:
                raise WorkerReset(f"{self._phase}: the engine does not read the request")

    async def _send(self, data: bytes) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # what was answered before can still be read
            await self._stream.send_all(data)

    def _raise_failure(self) -> None:
        if self._call.outcome is None:
            raise AdapterError(f"{self._phase}: the call has neither an answer nor an end")
        error = error_of(self._call.outcome, self._phase, self._failure, in_stream=self._has_spoken)
        if error is not None:
            raise error
