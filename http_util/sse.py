"""Server-sent events, from bytes and to bytes.

The rule: normalise line ends in each chunk, cut it at blank lines, and take the frame that nearly every engine sends
(one `data:` line) without looking at its lines one by one. Only LF, CR and CRLF end a line; U+2028 and its kin are
data. An unfinished line waits in one buffer, an unfinished event in another; both are reused and bounded. Bytes are not
decoded here: the reader's JSON decoder does that and finds bad UTF-8 itself.

Beyond the standard: an `error:` line counts as data of an event named `error` (llama.cpp before September 2025), and
an event whose closing blank line is missing at the end of the body is given if it consists of whole lines.

Implements: HTU-1003.
"""

from __future__ import annotations

import msgspec

HEARTBEAT = b": keep-alive\n\n"
_BOM = b"\xef\xbb\xbf"
_DEFAULT_NAME = "message"


class ServerEvent(msgspec.Struct, frozen=True, gc=False):
    """One event: its data lines joined by LF (raw UTF-8), its name, and its own `id:` line if it had one.

    A struct rather than a dataclass because one is made for every token.
    """

    data: bytes
    name: str = _DEFAULT_NAME
    id: str | None = None

    def __repr__(self) -> str:
        return f"ServerEvent({len(self.data)} bytes, name={self.name!r}, id={self.id!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show no more than `repr` does; what a struct brings along would show the data."""
        return [("bytes", len(self.data)), ("name", self.name), ("id", self.id)]


class EventTooLarge(ValueError):
    """A line, or the data of one event, is longer than the decoder's bound; the decoder is of no more use."""


class Decoder:
    """Turn the chunks of a body into events, however the bytes are cut.

    Holds at most `max_event_bytes` of an unfinished line and as much of an unfinished event. `EventTooLarge` is the
    only error, and the events before the one that is too large are given first.
    """

    __slots__ = ("_data", "_failed", "_has_data", "_id", "_is_open", "_line", "_max", "_name", "_skip_lf", "_started")

    def __init__(self, *, max_event_bytes: int = 1_048_576) -> None:
        self._max = max_event_bytes
        self._line = bytearray()  # its line end has not come
        self._data = bytearray()
        self._has_data = False
        self._name = _DEFAULT_NAME
        self._id: str | None = None
        self._is_open = False  # lines were taken since the last blank one
        self._skip_lf = False  # the last chunk ended with CR: a LF that follows belongs to it
        self._started = False  # a byte order mark is possible only before the first byte
        self._failed = False

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that this chunk completes, in order; raise `EventTooLarge`."""
        events: list[ServerEvent] = []
        try:
            self._feed(chunk, events)
        except EventTooLarge:
            self._failed = True
            if not events:
                raise
        return events

    def close(self) -> list[ServerEvent]:
        """Take the end of the body; return the event that only lacks its blank line, if there is one."""
        events: list[ServerEvent] = []
        if self._failed:
            raise self._too_large()
        if not self._line:  # else the event is cut inside a line
            self._dispatch(events)
        return events

    def _feed(self, chunk: bytes, events: list[ServerEvent]) -> None:
        if self._failed:
            raise self._too_large()
        text = self._normalised(chunk)
        if not text:
            return
        if b"\n" not in text:
            self._keep(text)
            return
        if self._line:
            text = bytes(self._line) + text
            self._line.clear()
        *blocks, rest = text.split(b"\n\n")
        for block in blocks:
            if not self._is_open and block.startswith(b"data:") and b"\n" not in block:
                if len(block) > self._max:
                    raise self._too_large()
                events.append(ServerEvent(block[6:] if block.startswith(b"data: ") else block[5:]))
            else:
                self._take(block.split(b"\n"), events)
                self._dispatch(events)
        *lines, unfinished = rest.split(b"\n")
        self._take(lines, events)
        self._keep(unfinished)

    def _normalised(self, chunk: bytes) -> bytes:
        if not self._started:
            chunk = self._without_bom(chunk)
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _without_bom(self, chunk: bytes) -> bytes:
        head = bytes(self._line) + chunk
        self._line.clear()
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._line += head
            return b""
        self._started = True
        return head.removeprefix(_BOM)

    def _keep(self, unfinished: bytes) -> None:
        self._line += unfinished
        if len(self._line) > self._max:
            raise self._too_large()

    def _take(self, lines: list[bytes], events: list[ServerEvent]) -> None:
        for line in lines:
            if not line:
                self._dispatch(events)
            elif len(line) > self._max:
                raise self._too_large()
            else:
                self._take_field(line)

    def _take_field(self, line: bytes) -> None:
        self._is_open = True
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add_data(value)
        elif name == b"event":
            self._name = value.decode(errors="replace") or _DEFAULT_NAME
        elif name == b"error":
            self._name = "error"
            self._add_data(value)
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")

    def _add_data(self, value: bytes) -> None:
        if self._has_data:
            self._data += b"\n"
        self._has_data = True
        self._data += value
        if len(self._data) > self._max:
            raise self._too_large()

    def _dispatch(self, events: list[ServerEvent]) -> None:
        if self._has_data:
            events.append(ServerEvent(bytes(self._data), self._name, self._id))
        self._data.clear()
        self._has_data = self._is_open = False
        self._name, self._id = _DEFAULT_NAME, None

    def _too_large(self) -> EventTooLarge:
        return EventTooLarge(f"an event is longer than {self._max} bytes")


def encode(name: str, data: bytes, *, id: int | None = None) -> bytes:
    """Return one event as a frame; `data` is one line, a line end in it is a `ValueError`."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("the data of a frame is one line")
    number = b"" if id is None else b"id: %d\n" % id
    return b"%bevent: %b\ndata: %b\n\n" % (number, name.encode(), data)
