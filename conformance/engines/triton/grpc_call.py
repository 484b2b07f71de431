"""One gRPC call on an HTTP/2 exchange: messages in frames, a status at the end.

Messages may be compressed with gzip or deflate if the client says so; answers never are. Time limits of calls are the
client's business here.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, final
from urllib.parse import quote

from .failures import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engines.http2 import Http2Exchange

_HEAD = 5
_WINDOWS = {"gzip": 31, "deflate": 15}


def framed(message: bytes) -> bytes:
    """Return a message in its frame: a flag, four bytes of length, the bytes."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def inflated(data: bytes, encoding: str, most_bytes: int) -> bytes:
    """Return what was compressed with `gzip` or `deflate`; refuse what was not, or is longer than the bound."""
    inflater = zlib.decompressobj(_WINDOWS[encoding])
    try:
        whole = inflater.decompress(data, most_bytes)
    except zlib.error as wrong:
        raise Refused(f"Failed to decompress: {wrong}", Code.INTERNAL) from wrong
    if not inflater.eof:
        raise Refused("Failed to decompress: incomplete, or larger than max", Code.INTERNAL)
    return whole


@final
class MessageReader:
    """Frames to messages, however their bytes arrive."""

    def __init__(self, encoding: str, most_bytes: int) -> None:
        self._encoding = encoding
        self._most_bytes = most_bytes
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete now; raise `Refused` for one that is too large."""
        self._data += data
        messages: list[bytes] = []
        while (size := self._size()) is not None and len(self._data) >= _HEAD + size:
            is_compressed, message = self._data[0], bytes(self._data[_HEAD : _HEAD + size])
            del self._data[: _HEAD + size]
            messages.append(self._inflated(message) if is_compressed else message)
        return messages

    def _size(self) -> int | None:
        if len(self._data) < _HEAD:
            return None
        size = int.from_bytes(self._data[1:_HEAD], "big")
        if size > self._most_bytes:
            text = f"CLIENT: Received message larger than max ({size} vs. {self._most_bytes})"
            raise Refused(text, Code.TOO_LARGE)
        return size

    def _inflated(self, message: bytes) -> bytes:
        if self._encoding not in _WINDOWS:
            raise Refused(f"Compression algorithm '{self._encoding}' is not enabled.", Code.UNSUPPORTED)
        return inflated(message, self._encoding, self._most_bytes)


@final
class Call:
    """What a method reads from and writes to."""

    def __init__(self, exchange: Http2Exchange, most_bytes: int) -> None:
        self.exchange = exchange
        self._reader = MessageReader(self.metadata.get("grpc-encoding", "identity"), most_bytes)
        self._waiting: list[bytes] = []

    @property
    def metadata(self) -> Mapping[str, str]:
        """The headers of the call."""
        return self.exchange.request.headers

    async def receive(self) -> bytes | None:
        """Return the next message; None once the client has said that there are no more."""
        while not self._waiting:
            data = await self.exchange.receive()
            if not data:
                return None
            self._waiting = self._reader.feed(data)
        return self._waiting.pop(0)

    async def start(self) -> None:
        """Send the head, if it has not gone out."""
        if not self.exchange.is_started:
            await self.exchange.start(200, "application/grpc", (("grpc-accept-encoding", "identity, deflate, gzip"),))

    async def send(self, message: bytes) -> None:
        """Send one message."""
        await self.start()
        await self.exchange.send(framed(message))

    async def finish(self, code: int = 0, text: str = "") -> None:
        """End the call with a status, unless it has ended."""
        if self.exchange.is_ended:
            return
        status = (("grpc-status", str(code)), *((("grpc-message", _escaped(text)),) if text else ()))
        if self.exchange.is_started:
            await self.exchange.trailers(status)
        else:
            await self.exchange.answer_head((("content-type", "application/grpc"), *status))

    async def fail(self, failure: Refused) -> None:
        """End the call with the status of a failure."""
        await self.finish(failure.code.grpc, failure.message)


def _escaped(text: str) -> str:
    """Return a status message as gRPC wants it: percent-encoded UTF-8, printable ASCII as it is."""
    return quote(text, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~")
