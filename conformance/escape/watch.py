"""The watch over one case: doors are replaced, audit events heard, and each step outside is kept with its line.

Reads of a clock, randomness and files are kept and go on. Sleep is left out. Threads, sockets and processes are stopped
at the spot by `Escaped`, which is no `Exception`, so that an adapter does not take it for a failure of its engine.

One case at a time, and only its own thread, is watched: what other threads of the process do is nobody's step.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, final

from conformance.findings import Finding

from .blame import blamed
from .doors import CELLS, EVENTS, RULES, Way
from .spots import replaced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from .doors import Door

_WRITING = frozenset("wax+")
_O_WRITING = 0o3  # O_WRONLY | O_RDWR, the same wherever there is POSIX
_MOST = 20  # lines that are kept of one case


@final
class Escaped(BaseException):
    """A step outside was stopped; the finding about it is kept already."""


@final
class Watch:
    """What one case did outside; `own` are the packages whose lines are named even if they are installed libraries."""

    def __init__(self) -> None:
        self.own: set[str] = set()
        self.findings: list[Finding] = []
        self.is_stopped = False
        self._thread: int | None = None

    def begin(self) -> None:
        """Watch the thread that this is called in."""
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        """Return whether the calling thread is the one that is watched."""
        return self._thread == threading.get_ident()

    def sees(self, way: Way, what: str, frame: FrameType | None) -> bool:
        """Keep a step; return whether somebody is to blame for it. Raises `Escaped` for one that must not be taken."""
        line = blamed(frame, way, self.own)
        if line is None:
            return False
        rule = RULES[way]
        finding = Finding(rule.check_id, rule.expected, f"{way} by {what}\nat {line}")
        if finding not in self.findings and len(self.findings) < _MOST:
            self.findings.append(finding)
        if rule.stops:
            self.is_stopped = True
            raise Escaped(f"{way} by {what}")
        return True


_watch: Watch | None = None
_is_hearing = False


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch what is done in the thread that calls `begin()`, until the block is left."""
    global _watch
    _hear_audits()
    watch = Watch()
    with replaced(_taken):
        _watch = watch
        try:
            yield watch
        finally:
            _watch = None


@contextmanager
def closely() -> Iterator[None]:
    """Hear every call of a function in C, too, in this thread: whatever name or place it is held under. It is slow."""
    before = sys.getprofile()
    sys.setprofile(_profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def _taken(door: Door, frame: FrameType) -> bool:
    """Return whether a step through a door is not to be made."""
    watch = _watch
    if watch is None or not watch.is_here():
        return False
    return watch.sees(door.way, door.label, frame) and door.way is Way.SLEEP


def _profile(frame: FrameType, event: str, function: object) -> None:
    if event == "c_call" and type(function) is BuiltinFunctionType and function in CELLS:
        watch = _watch
        if watch is not None and watch.is_here():
            watch.sees(*CELLS[function], frame)


def _hear_audits() -> None:
    """Listen to audit events; a hook cannot be taken back, so there is one for the process, idle between cases."""
    global _is_hearing
    if not _is_hearing:
        _is_hearing = True
        sys.addaudithook(_heard)


def _heard(event: str, given: tuple[object, ...]) -> None:
    watch = _watch
    if watch is None or event not in EVENTS or not watch.is_here():
        return
    if event == "open" and not _is_for_writing(*given):
        return
    watch.sees(EVENTS[event], event, sys._getframe(1))  # noqa: SLF001 - documented, with this name


def _is_for_writing(_path: object, mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return bool(_WRITING & set(mode))
    return isinstance(flags, int) and bool(flags & _O_WRITING)
