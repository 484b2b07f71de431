"""What happened in one case, in order, with virtual times: the frames of every stream and the calls around them.

The order of entries is the order in which the adapter returned to the kit; two entries at one instant are still in
order. Prompts and canaries may be in here: it is printed through the report's mask only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue, TokenEvent

RAISED = "raised"
"""The way of a failure that came as an exception and not as an event."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened at virtual time `at_s`; `number` counts the entries of the case."""

    number: int
    at_s: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Frame(Entry):
    """An event that a stream gave; a raised `WorkerError` counts as one, with `way` telling."""

    kind: str = ""
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    way: str = "event"
    event: TokenEvent | None = None


@final
class Transcript:
    """The entries of one case."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.marked: set[int] = set()
        self._epoch_s: float | None = None

    def note(self, who: str, what: str) -> Entry:
        """Write down a call, an answer or a remark."""
        entry = Entry(len(self.entries), self._now_s(), who, what)
        self.entries.append(entry)
        return entry

    def frame(self, who: str, kind: str, data: Mapping[str, JsonValue], event: TokenEvent | None, way: str) -> Frame:
        """Write down an event of the stream `who`."""
        frame = Frame(len(self.entries), self._now_s(), who, _shown(kind, data, way), kind, data, way, event)
        self.entries.append(frame)
        return frame

    def mark(self, entry: Entry) -> None:
        """Point at an entry: this is where it went wrong."""
        self.marked.add(entry.number)

    def around_marks(self, before: int = 12, after: int = 6) -> list[Entry]:
        """Return the entries to show: all of a short case, else those about the first mark (the end if none)."""
        centre = min(self.marked, default=len(self.entries) - 1)
        return self.entries[max(0, centre - before) : centre + after + 1]

    def _now_s(self) -> float:
        now_s = trio.current_time()
        if self._epoch_s is None:
            self._epoch_s = now_s
        return now_s - self._epoch_s


def _shown(kind: str, data: Mapping[str, JsonValue], way: str) -> str:
    fields = " ".join(f"{name}={value!r}" for name, value in data.items())
    return f"{kind}{' (raised)' if way == RAISED else ''} {fields}".rstrip()
