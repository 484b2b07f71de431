"""Takes a stream of Server-Sent Events apart, strictly: what this contract does not write is a fault. Pure.

A frame is lines `id:`, `event:` and `data:`, each at most once and in any order, then an empty line. A line that begins
with a colon is a comment. Anything else is told as a fault and passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import msgspec

_FIELDS = ("id", "event", "data")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its raw bytes, its fields (empty where absent), and when its last byte was read."""

    raw: bytes
    at: float = field(compare=False)
    id: str = ""
    event: str = ""
    text: str = ""
    faults: tuple[str, ...] = ()

    @property
    def data(self) -> dict[str, object]:
        """The JSON object in it; empty if there is none."""
        try:
            data = msgspec.json.decode(self.text)
        except msgspec.DecodeError:
            return {}
        return data if isinstance(data, dict) else {}

    @property
    def number(self) -> int | None:
        """The id as a number."""
        return int(self.id) if self.id.isascii() and self.id.isdigit() else None


@final
class SseReader:
    """Gets bytes in any pieces and gives whole frames."""

    def __init__(self) -> None:
        self.rest = b""
        self.comments: list[str] = []

    def feed(self, data: bytes, at: float) -> list[Frame]:
        """Take what was read at that time; return the frames that are whole now."""
        *blocks, self.rest = (self.rest + data).replace(b"\r\n", b"\n").split(b"\n\n")
        read = (self._read(block, at) for block in blocks)
        return [frame for frame in read if frame is not None]

    def _read(self, block: bytes, at: float) -> Frame | None:
        """Return the frame in a block; None for comments alone."""
        found: dict[str, str] = {}
        faults: list[str] = []
        is_frame = False
        for raw in block.split(b"\n"):
            line = raw.decode("utf-8", "backslashreplace")
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
                continue
            is_frame = True
            name, _, value = line.partition(":")
            if name not in _FIELDS or name in found:
                faults.append(f"the line {line!r}")
                continue
            found[name] = value.removeprefix(" ")
        if not is_frame:
            return None
        faults += [f"no `{name}:`" for name in _FIELDS if name not in found]
        return Frame(block, at, found.get("id", ""), found.get("event", ""), found.get("data", ""), tuple(faults))
