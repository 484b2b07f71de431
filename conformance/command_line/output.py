"""Where commands print to: standard output as it is, for as long as somebody reads it."""

from __future__ import annotations

import os
import sys
from typing import final

from rich.console import Console


def console() -> Console:
    """Return a console on the true standard output: while a case plays, `sys.stdout` is the case's."""
    return _Lasting(file=sys.stdout, highlight=False)


def expect_output() -> None:
    """Print to nowhere in a process that was started with its standard output closed."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process


def print_to_nowhere() -> None:
    """Let what else is printed go nowhere: the reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@final
class _Lasting(Console):
    """A console that outlives its reader: a run cut off by `| head` still gives its exit code and its report."""

    def on_broken_pipe(self) -> None:
        """Go on in silence; Rich would end the process with the exit code of an adapter that does not conform."""
        self.quiet = True
        print_to_nowhere()
