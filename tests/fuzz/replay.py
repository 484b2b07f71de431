"""An engine that answers each call with given bytes, and counts what is open and what was taken from it.

It reads whole requests and looks at nothing but method and path. A connection in memory is one task below `nursery`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, final

import trio

from conformance.engines.pipe import open_pipe

from .mutations import AS_RECORDED, Ending
from .recording import HTTP2, HTTP2_CALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conformance.engines.pipe import PipeEnd

    from .mutations import Mutated
    from .recording import Key, Reply

URL = "http://engine.test:8080"
UNKNOWN = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
MOST_SLICES = 400
"""After so many slices the rest leaves in one: a body in single bytes is slow, and says no more after that."""
_TALK = b'data: {"talk": "' + b"x" * 65_000 + b'"}\n\n'


@final
class Replay:
    """Answers with `recorded`, changed as `changes` says for a key; `taken` counts bytes."""

    def __init__(
        self, recorded: Mapping[Key, Sequence[Reply]], changes: Mapping[Key, Mutated], nursery: trio.Nursery
    ) -> None:
        self._recorded = recorded
        self._changes = changes
        self._nursery = nursery
        self._connections: list[PipeEnd] = []
        self.taken = 0

    @property
    def open(self) -> int:
        """How many connections the adapter has not closed."""
        return sum(not connection.is_closed for connection in self._connections)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection."""
        await trio.lowlevel.checkpoint()
        theirs, ours = open_pipe()
        self._connections.append(theirs)
        self._nursery.start_soon(self._serve, ours)
        return theirs

    async def _serve(self, stream: PipeEnd) -> None:
        try:
            async with stream:
                buffer = bytearray()
                while (request := await _next_request(stream, buffer)) is not None:
                    if not await self._answer(stream, *request):
                        return
                    if request[0] == HTTP2_CALL:
                        buffer.clear()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the adapter has left

    async def _answer(self, stream: PipeEnd, key: Key, asked: bytes) -> bool:
        """Answer; return whether another request may follow."""
        change = self._changes.get(key, AS_RECORDED)
        wire = change.answer_to(asked, self._recorded[key]) if key in self._recorded else UNKNOWN
        for piece in _slices(wire, change.slices):
            await self._send(stream, piece)
            await trio.sleep(change.pause_s)
        match change.ending:
            case Ending.RESET:
                stream.reset()
            case Ending.STALL:
                while await stream.receive_some():
                    pass
            case Ending.ENDLESS:
                while True:
                    await self._send(stream, _TALK)
                    await trio.sleep(0.1)
            case Ending.KEEP | Ending.CLOSE:
                pass
        return change.ending is Ending.KEEP

    async def _send(self, stream: PipeEnd, data: bytes) -> None:
        await stream.send_all(data)
        self.taken += len(data)


async def _next_request(stream: PipeEnd, buffer: bytearray) -> tuple[Key, bytes] | None:
    """Return method and path, and the body, of the next whole request; None if there is none."""
    if not buffer and not await _more(stream, buffer):
        return None
    if buffer.startswith(HTTP2):  # the client says all it has to say in the beginning
        return HTTP2_CALL, b""
    while (head_end := buffer.find(b"\r\n\r\n")) < 0:
        if not await _more(stream, buffer):
            return None
    head = bytes(buffer[:head_end]).lower()
    _, _, length = head.partition(b"\r\ncontent-length:")
    size = head_end + 4 + int(length.partition(b"\r\n")[0] or 0)
    while len(buffer) < size:
        if not await _more(stream, buffer):
            return None
    method, target, _ = bytes(buffer[:head_end]).decode().split(" ", 2)
    body = bytes(buffer[head_end + 4 : size])
    del buffer[:size]
    return (method, target.partition("?")[0]), body


async def _more(stream: PipeEnd, buffer: bytearray) -> bool:
    data = await stream.receive_some()
    buffer += data
    return bool(data)


def _slices(wire: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    for size in itertools.islice(itertools.cycle(sizes), MOST_SLICES if sizes else 0):
        if not wire:
            return
        yield wire[:size]
        wire = wire[size:]
    yield wire
