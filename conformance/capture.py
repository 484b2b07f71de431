"""Everything an adapter says on the side while a case runs: logs, output, warnings, errors nobody saw.

Process-wide hooks, put back when the block is left; cases run one after another, so one capture is open at a time.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Captured:
    """What was caught; `trouble` holds warnings and errors that were raised where nobody could catch them."""

    logs: list[str] = field(default_factory=list)
    output: io.StringIO = field(default_factory=io.StringIO)
    trouble: list[str] = field(default_factory=list)

    def sinks(self) -> Iterator[tuple[str, str]]:
        """Yield (name of the sink, text) of everything caught."""
        yield from (("log line", line) for line in self.logs)
        yield "standard output", self.output.getvalue()
        yield from (("warning", text) for text in self.trouble)


@contextmanager
def capture() -> Iterator[Captured]:
    """Catch it all while the block runs."""
    caught = Captured()
    with (
        _logging_to(caught),
        redirect_stdout(caught.output),
        redirect_stderr(caught.output),
        warnings.catch_warnings(record=True) as warned,
        _unraisable_to(caught),
    ):
        warnings.simplefilter("always")
        yield caught
    caught.trouble.extend(f"{each.category.__name__}: {each.message}" for each in warned)


@contextmanager
def _logging_to(caught: Captured) -> Iterator[None]:
    handler = _Handler(caught)
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@contextmanager
def _unraisable_to(caught: Captured) -> Iterator[None]:
    def note(event: sys.UnraisableHookArgs) -> None:
        caught.trouble.append(f"ignored exception: {event.exc_value!r} ({event.err_msg or 'in a finalizer'})")

    hook, sys.unraisablehook = sys.unraisablehook, note
    try:
        yield
    finally:
        sys.unraisablehook = hook


_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; the rest is what the caller gave along with it."""


@final
class _Handler(logging.Handler):
    def __init__(self, caught: Captured) -> None:
        super().__init__(logging.DEBUG)
        self._caught = caught
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in vars(record).items() if name not in _ORDINARY}
        self._caught.logs.append(f"{self.format(record)} {extra or ''}".rstrip())
