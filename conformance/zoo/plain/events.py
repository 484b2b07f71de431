"""Bytes of an event stream in, the data of its events out. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from adapter_api import AdapterError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 1_048_576
"""The decoder's bound in the table of bounds."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"


class EventReader:
    """Takes a body in whatever pieces it comes."""

    most_bytes = MOST_BYTES

    def __init__(self) -> None:
        self.rest = bytearray()
        self.data: list[bytes] = []
        self.is_after_cr = False
        self.is_first = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the data of each event that this piece completes; `AdapterError` beyond the bound."""
        for line in self.lines(piece):
            yield from self.line(line)
        self.check_size()

    def lines(self, piece: bytes) -> Iterator[bytes]:
        """Yield each line that this piece completes. A line ends at its CR; an LF right behind belongs to it."""
        if self.is_after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self.is_after_cr = piece.endswith(b"\r")
        first, *others = _LINE_END.split(piece)
        self.rest += first
        for other in others:
            line, self.rest = bytes(self.rest), bytearray(other)
            yield self.unmarked(line)

    def unmarked(self, line: bytes) -> bytes:
        """Return the line without the byte order mark that the first one may have."""
        is_first, self.is_first = self.is_first, False
        return line.removeprefix(_MARK) if is_first else line

    def line(self, line: bytes) -> Iterator[bytes]:
        """Take one line; an empty one ends the event, and a comment has an empty name."""
        if not line:
            yield from self.dispatch()
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self.data.append(value.removeprefix(b" "))
        elif not name:
            yield from self.comment(value)

    def dispatch(self) -> Iterator[bytes]:
        """End an event; one without data is none."""
        data, self.data = self.data, []
        if data:
            yield b"\n".join(data)

    def comment(self, _text: bytes) -> Iterator[bytes]:
        """Take a comment: it means nothing."""
        yield from ()

    def check_size(self) -> None:
        """Refuse an event that has no end."""
        if len(self.rest) + sum(map(len, self.data)) > self.most_bytes:
            raise AdapterError("reading the answer: an event is larger than 1 MiB")
