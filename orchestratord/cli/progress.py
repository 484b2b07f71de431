"""Showing a person how far the embedded engine is: a bar or a spinner on a terminal, plain lines elsewhere.

Lines come at each step, at each quarter of a step and every few seconds: a log of a slow start stays short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

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
    """Plain lines."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._last: tuple[object, ...] = ()

    def __call__(self, progress: reports.Progress) -> None:
        """Show one report, if it says something new."""
        quarter = None if progress.fraction is None else int(4 * progress.fraction)
        periods = int((progress.elapsed_s or 0) / _LINE_PERIOD_S)
        seen = (progress.step, progress.human, quarter, periods)
        if seen == self._last and progress.step not in _LASTING:
            return
        self._last = seen
        self._err.write(_in_words(progress) + "\n")
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
