"""What can go wrong with an answer's bytes, as values that hypothesis draws and prints.

Pure. `Mutated` takes a recorded answer apart in four layers and may change each: parts of the body (JSON values, SSE
events), status and headers, framing (lengths, chunks, compression), and the bytes as they leave. Positions are numbers
of any size, taken modulo what is there, so that every draw fits every answer.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .oddities import Bulk
    from .recording import Reply

_SCALAR = re.compile(rb'(?<=[:\[,])\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)|(?<= )\S+(?=\n)')
_NAME = re.compile(rb'"\w+":')


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a part becomes another one: of JSON, or the figure at the end of a line."""

    part: int
    at: int
    value: Bulk

    def __call__(self, parts: list[bytes]) -> None:
        _replace(parts, self.part, self.at, self.value.whole)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a part gets another value; None takes it away. `"was"` stands for what it held."""

    part: int
    name: bytes
    value: Bulk | None

    def __call__(self, parts: list[bytes]) -> None:
        where = [n for n, part in enumerate(parts) if self.name in part]
        if where:
            held = b'"was":' if self.value is None else self.name + self.value.whole + b',"was":'
            at = where[self.part % len(where)]
            parts[at] = parts[at].replace(self.name, held)


class Change(StrEnum):
    """What happens to a part, or to a stretch of bytes."""

    DROP = "drop"
    DOUBLE = "double"
    SWAP = "swap"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Part:
    """A part is dropped, doubled, swapped with another, or the last one."""

    part: int
    change: Change
    other: int = 0

    def __call__(self, parts: list[bytes]) -> None:
        if not parts:
            return
        here, there = self.part % len(parts), self.other % len(parts)
        match self.change:
            case Change.DROP:
                del parts[here]
            case Change.DOUBLE:
                parts.insert(there, parts[here])
            case Change.SWAP:
                parts[here], parts[there] = parts[there], parts[here]
            case Change.CUT:
                del parts[here + 1 :]


@dataclass(frozen=True, slots=True)
class Odd:
    """A foreign part is put in."""

    at: int
    part: Bulk

    def __call__(self, parts: list[bytes]) -> None:
        parts.insert(self.at % (len(parts) + 1), self.part.whole)


class Framing(StrEnum):
    """How the body is told from what follows it."""

    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"
    TOO_SHORT = "length too short"
    TOO_LONG = "length too long"
    BOTH = "length and chunked"
    GZIP = "gzip"
    DEFLATE = "deflate"


_PACKED: dict[Framing, Callable[[bytes], bytes]] = {
    Framing.GZIP: lambda body: gzip.compress(body, mtime=0),
    Framing.DEFLATE: zlib.compress,
}
_ENCODINGS = {Framing.GZIP: b"gzip", Framing.DEFLATE: b"deflate"}


@dataclass(frozen=True, slots=True)
class Bytes:
    """A stretch of the bytes on the wire is dropped, doubled, swapped with what follows it, or the last one."""

    at: int
    length: int
    change: Change

    def __call__(self, wire: bytearray) -> None:
        at = self.at % (len(wire) + 1)
        piece = bytes(wire[at : at + self.length])
        match self.change:
            case Change.DROP:
                del wire[at : at + self.length]
            case Change.DOUBLE:
                wire[at:at] = piece
            case Change.SWAP:
                wire[at : at + 2 * self.length] = wire[at + self.length : at + 2 * self.length] + piece
            case Change.CUT:
                del wire[at:]


@dataclass(frozen=True, slots=True)
class Flip:
    """Bits of one byte change."""

    at: int
    mask: int

    def __call__(self, wire: bytearray) -> None:
        if wire:
            wire[self.at % len(wire)] ^= self.mask


@dataclass(frozen=True, slots=True)
class Junk:
    """Foreign bytes are put in."""

    at: int
    junk: Bulk

    def __call__(self, wire: bytearray) -> None:
        at = self.at % (len(wire) + 1)
        wire[at:at] = self.junk.whole


class Ending(StrEnum):
    """What the engine does after its bytes."""

    KEEP = "keep the connection"
    CLOSE = "close it"
    RESET = "reset it"
    STALL = "say nothing any more"
    ENDLESS = "never stop talking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutated:
    """A recorded answer as it will leave: by `number`, or None for that to the same request, and all changes to it."""

    number: int | None = None
    parts: tuple[Value | Field | Part | Odd, ...] = ()
    status: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    framing: Framing | None = None
    wire: tuple[Bytes | Flip | Junk, ...] = ()
    slices: tuple[int, ...] = ()
    pause_s: float = 0.0
    ending: Ending = Ending.KEEP

    def answer_to(self, asked: bytes, recorded: Sequence[Reply]) -> bytes:
        """Return the bytes of the answer to a request with this body."""
        if self.number is not None:
            return self._changed(recorded[self.number % len(recorded)])
        return self._changed(next((reply for reply in recorded if reply.asked == asked), recorded[0]))

    def _changed(self, reply: Reply) -> bytes:
        parts = list(reply.parts)
        for change in self.parts:
            change(parts)
        wire = bytearray(self._framed(reply, parts) if reply.status else b"".join(parts))
        for damage in self.wire:
            damage(wire)
        return bytes(wire)

    def _framed(self, reply: Reply, parts: list[bytes]) -> bytes:
        framing = self.framing or (Framing.CHUNKED if len(reply.parts) > 1 else Framing.LENGTH)
        return _head(self.status or reply.status, (*reply.headers, *self.headers)) + _framed(framing, parts)


AS_RECORDED = Mutated()


def names_in(part: bytes) -> set[bytes]:
    """Return the names of all fields, as they stand: `"name":`."""
    return set(_NAME.findall(part))


def _replace(parts: list[bytes], part: int, at: int, new: bytes) -> None:
    if not parts:
        return
    text = parts[part % len(parts)]
    found = list(_SCALAR.finditer(text))
    if found:
        start, end = found[at % len(found)].span()
        parts[part % len(parts)] = text[:start] + new + text[end:]


def _head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\n" % status + b"".join(b"%b: %b\r\n" % header for header in headers)


def _framed(framing: Framing, parts: list[bytes]) -> bytes:
    """Return the headers of the framing, the end of the head and the body."""
    body = b"".join(parts)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
    match framing:
        case Framing.CHUNKED:
            return b"transfer-encoding: chunked\r\n\r\n" + chunks
        case Framing.BOTH:
            return b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n" % len(body) + chunks
        case Framing.UNTIL_CLOSE:
            return b"\r\n" + body
        case Framing.LENGTH:
            return _with_length(len(body), body)
        case Framing.TOO_SHORT:
            return _with_length(len(body) // 2, body)
        case Framing.TOO_LONG:
            return _with_length(2 * len(body) + 1, body)
        case _:
            packed = _PACKED[framing](body)
            return b"content-encoding: %b\r\n" % _ENCODINGS[framing] + _with_length(len(packed), packed)


def _with_length(length: int, body: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n" % length + body
