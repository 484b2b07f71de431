"""A bound in real time around code that we do not trust to end.

Virtual time cannot bound an adapter that blocks its thread. So a case runs in a thread of its own, and when it has not
ended by then it is given up: the report says where it stood, the thread is asked to end, and the run goes on.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Generic, TypeVar, final

from .escape.blame import where

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from .escape.blame import Line

T = TypeVar("T")


@final
class Blocked(Exception):
    """The code had not ended in real time; `line` is the adapter's where it stood, `stack` the way there."""

    def __init__(self, limit_s: float, stack: str, line: Line | None) -> None:
        super().__init__(f"still running after {limit_s:g} s of real time")
        self.stack = stack
        self.line = line


def run_bounded(work: Callable[[], T], limit_s: float) -> T:
    """Run `work` in a thread and return its result; raise what it raises, or `Blocked` after `limit_s`."""
    job = _Job(work)
    thread = threading.Thread(target=job.run, name="conformance case", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented, with this name
        stack, line = _stack_of(frame), where(frame)
        del frame  # it would keep alive all that the case holds
        _ask_to_end(thread)
        raise Blocked(limit_s, stack, line)
    return job.result()


@final
class _Job(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001, ASYNC103 - carried over to the caller's thread, whatever it is
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]


def _stack_of(frame: FrameType | None) -> str:
    lines = traceback.format_stack(frame)[-4:] if frame else ["(it has just ended)"]
    return "".join(lines).rstrip()


def _ask_to_end(thread: threading.Thread) -> None:
    """Raise `SystemExit` in the thread; it comes as soon as Python code runs there."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
