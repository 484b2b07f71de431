"""What `conformance mutants` shows: a line for each animal as it is done, and what is left unproved."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from rich.text import Text

from .catalogue import CHECKS
from .check import Level
from .mutants import unproved
from .outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from .mutants import Kill
    from .outcome import CheckReport
    from .zoo.animals import Reference


@final
class ZooReport:
    """Prints the hunt."""

    def __init__(self, console: Console, mask: Callable[[str], str]) -> None:
        self._console = console
        self._mask = mask
        self._kills: list[Kill] = []
        self._escaped: list[str] = []
        self._wronged: list[str] = []
        self._references = 0

    def hunted(self, kill: Kill) -> None:
        """Print what became of a mutant."""
        self._kills.append(kill)
        mutant = kill.mutant
        others = [check_id for check_id in kill.caught_by if check_id != mutant.killed_by]
        also = f"  (also {', '.join(others)})" if others else ""
        word, style = ("caught", "green") if kill.is_right else ("ESCAPED", "bold red")
        self._say(f"{word:<8}{mutant.killed_by}  {mutant.name:<28}{mutant.fault}{also}", style)
        if not kill.is_right:
            self._escaped.append(mutant.name)

    def tried(self, reference: Reference, blaming: Sequence[CheckReport], code: Exit) -> None:
        """Print whether an odd adapter passed."""
        self._references += 1
        is_right = not blaming and code is Exit.CONFORMING
        word, style = ("passed", "green") if is_right else ("BLAMED", "bold red")
        blame = f"  by {', '.join(each.check.id for each in blaming)}, {code!r}" if not is_right else ""
        self._say(f"{word:<8}        {reference.name:<28}{reference.oddity}{blame}", style)
        if not is_right:
            self._wronged.append(reference.name)

    def finish(self, *, is_whole: bool) -> bool:
        """Print the sums; return whether the kit is proved by what was run."""
        caught = len(self._kills) - len(self._escaped)
        passed = self._references - len(self._wronged)
        self._say("")
        if is_whole:
            self._tell_matrix()
        is_good = not self._escaped and not self._wronged
        self._say(
            f"{caught} of {len(self._kills)} broken adapters caught by the check whose rule they break, "
            f"{passed} of {self._references} odd ones passed",
            "bold green" if is_good else "bold red",
        )
        return is_good

    def _tell_matrix(self) -> None:
        """Print which checks caught something alone, and which caught nothing."""
        alone = {kill.caught_by[0] for kill in self._kills if len(kill.caught_by) == 1}
        self._say(f"alone in catching something: {', '.join(sorted(alone))}")
        idle = [check_id for check_id in unproved(self._kills) if CHECKS[check_id].level is Level.MUST]
        self._say(f"MUST checks that no broken adapter here proves: {', '.join(idle) or 'none'}")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(self._mask(text), style=style), soft_wrap=True)
