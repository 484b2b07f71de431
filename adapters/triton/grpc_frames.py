"""What gRPC and HTTP/2 put around messages, as far as it has to be taken apart by hand.

Pure. A gRPC message has five bytes before it: whether it is compressed, and its length. Compressed ones were not asked
for, and a length has a bound before anything is kept for it.

`Farewells` takes `GOAWAY` frames out of the bytes of a connection. A server that stops says goodbye and goes on with
the calls that it has taken; h2 ends the whole connection at such a frame.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

import struct
from typing import final

from adapter_api import AdapterError
from http_util.sse import EventTooLarge, ServerEvent

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""What gRPC libraries take by default."""
_PREFIX = struct.Struct(">?I")
_FRAME_HEAD_BYTES = 9
_GOAWAY = 0x7
_STREAM_ID_BYTES = 4
_STREAM_ID_MASK = 2**31 - 1


def framed(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return _PREFIX.pack(False, len(message)) + message


@final
class MessageDecoder:
    """Makes messages of the bytes of one answer, however they are cut; each is the data of an event."""

    __slots__ = ("_max_message_bytes", "_phase", "_rest")

    def __init__(self, phase: str, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._phase = phase
        self._max_message_bytes = max_message_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the messages that `chunk` completed; raise `EventTooLarge`, or `AdapterError` for a compressed one."""
        self._rest += chunk
        found = []
        start = 0
        while (end := self._end_of_message(start)) <= len(self._rest):
            found.append(ServerEvent(data=bytes(self._rest[start + _PREFIX.size : end])))
            start = end
        del self._rest[:start]
        return found

    def close(self) -> list[ServerEvent]:
        """Return nothing: a message is complete with its last byte; raise `AdapterError` if one is not."""
        if self._rest:
            raise AdapterError(f"{self._phase}: the call ended inside a message")
        return []

    def _end_of_message(self, start: int) -> int:
        """Return where the message that begins at `start` ends, or any place behind what is there."""
        if len(self._rest) < start + _PREFIX.size:
            return start + _PREFIX.size
        is_compressed: bool
        size: int
        is_compressed, size = _PREFIX.unpack_from(self._rest, start)
        if is_compressed:
            raise AdapterError(f"{self._phase}: the engine sent a compressed message that was not asked for")
        if size > self._max_message_bytes:
            raise EventTooLarge(f"a message of more than {self._max_message_bytes} bytes")
        return start + _PREFIX.size + size


@final
class Farewells:
    """Passes the bytes of an HTTP/2 connection on, without the frames that say goodbye.

    `last_stream` is the highest stream that the server says it took, None before a farewell.
    """

    __slots__ = ("_head", "_is_farewell", "_left", "_number", "last_stream")

    def __init__(self) -> None:
        self._head = bytearray()
        self._number = bytearray()
        self._left = 0  # bytes of the payload of the frame that has begun
        self._is_farewell = False
        self.last_stream: int | None = None

    def pass_on(self, data: bytes) -> bytes:
        """Return `data` without farewells; at most the head of one frame is kept back."""
        passed = bytearray()
        start = 0
        while start < len(data):
            if self._left:
                start += self._take_payload(data, start, passed)
            else:
                start += self._take_head(data, start, passed)
        return bytes(passed)

    def _take_head(self, data: bytes, start: int, passed: bytearray) -> int:
        piece = data[start : start + _FRAME_HEAD_BYTES - len(self._head)]
        self._head += piece
        if len(self._head) == _FRAME_HEAD_BYTES:
            self._left = int.from_bytes(self._head[:3], "big")
            self._is_farewell = self._head[3] == _GOAWAY
            if not self._is_farewell:
                passed += self._head
            self._head.clear()
            self._number.clear()
        return len(piece)

    def _take_payload(self, data: bytes, start: int, passed: bytearray) -> int:
        piece = data[start : start + self._left]
        self._left -= len(piece)
        if not self._is_farewell:
            passed += piece
        elif len(self._number) < _STREAM_ID_BYTES:
            self._number += piece[: _STREAM_ID_BYTES - len(self._number)]
            if len(self._number) == _STREAM_ID_BYTES:
                self.last_stream = int.from_bytes(self._number, "big") & _STREAM_ID_MASK
        return len(piece)
