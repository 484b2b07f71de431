"""Showing a person how far the embedded engine is: a bar or a spinner on a terminal, plain lines elsewhere.

Lines come at each step and every few seconds within one: the log of a start stays short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from orchestratord.embedded.reports import Step

if TYPE_CHECKING:
    from orchestratord.embedded import reports

_LINE_PERIOD_S = 5.0
_LASTING = frozenset({Step.READY, Step.DIED})
"""Steps whose report stays on the screen."""


def open_progress(err: TextIO) -> reports.Report:
    """Return what takes the engine's reports and shows them on `err`."""
    return Bars(Console(file=err)) if err.isatty() else Lines(err)


class Lines:
    """Plain lines, one for each step and more only where it takes its time."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._step: Step | None = None
        self._told_at = 0.0

    def __call__(self, progress: reports.Progress) -> None:
        """Show one report, if it is time to."""
        now = trio.current_time()
        is_new = progress.step is not self._step
        if is_new or progress.step in _LASTING or now - self._told_at >= _LINE_PERIOD_S:
            self._step, self._told_at = progress.step, now
            self._err.write((progress.human if is_new else _in_words(progress)) + "\n")
            self._err.flush()


class Bars:
    """Bars and spinners that are gone when their step is over."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Progress | None = None
        self._step: Step | None = None
        self._task = TaskID(0)

    def __call__(self, progress: reports.Progress) -> None:
        """Show one report."""
        if progress.step is not self._step:
            self._close()
        self._step = progress.step
        if progress.step in _LASTING:
            self._console.print(_in_words(progress), highlight=False)
            return
        shown = self._shown or self._open(progress)
        shown.update(self._task, completed=progress.fraction)
        if progress.fraction == 1:
            self._close()

    def _open(self, progress: reports.Progress) -> Progress:
        measured = [] if progress.fraction is None else [BarColumn(), TextColumn("{task.percentage:>3.0f}%")]
        columns = [SpinnerColumn(), TextColumn("{task.description}"), *measured, TimeElapsedColumn()]
        self._shown = Progress(*columns, console=self._console, transient=True)
        self._task = self._shown.add_task(progress.human, total=1.0)
        self._shown.start()
        return self._shown

    def _close(self) -> None:
        if self._shown is not None:
            self._shown.stop()
            self._shown = None


def _in_words(progress: reports.Progress) -> str:
    if progress.fraction is not None:
        return f"{progress.human}: {progress.fraction:.0%}"
    if progress.step not in _LASTING and (progress.elapsed_s or 0) >= 1:
        return f"{progress.human}: {progress.elapsed_s:.0f} s"
    return progress.human
