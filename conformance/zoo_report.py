"""What `conformance mutants` shows: a line for each animal as it is done, then the matrix and what is left unproved."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from rich.text import Text

from .power.tables import checks_text, matrix_text, seeds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from .mutants import Kill
    from .outcome import CheckReport, Exit
    from .power.matrix import Matrix, Odd, Row
    from .zoo.animals import Mutant


@final
class ZooReport:
    """Prints the hunt; with `is_quiet` nothing but what went wrong is kept."""

    def __init__(self, console: Console, mask: Callable[[str], str], *, is_quiet: bool = False) -> None:
        self._console = console
        self._mask = mask
        self._is_quiet = is_quiet
        self.unseen_pairs: list[str] = []

    def hunted(self, kill: Kill, row: Row) -> None:
        """Print what became of a mutant."""
        others = [check_id for check_id in row.caught_by if check_id != row.killed_by]
        also = f"  (also {', '.join(others)})" if others else ""
        luck = f"  [{row.seeds.caught} of {row.seeds.of} schedules]" if row.seeds is not None else ""
        word, style = ("caught", "green") if kill.is_right else ("ESCAPED", "bold red")
        self._say(f"{word:<8}{row.killed_by}  {row.name:<34}{row.fault}{luck}{also}", style)

    def tried(self, odd: Odd, blaming: Sequence[CheckReport], code: Exit) -> None:
        """Print whether an odd adapter passed."""
        word, style = ("passed", "green") if odd.is_right else ("BLAMED", "bold red")
        blame = f"  by {', '.join(each.check.id for each in blaming)}, {code!r}" if not odd.is_right else ""
        self._say(f"{word:<8}        {odd.name:<34}{odd.oddity}{blame}", style)

    def paired(self, one: Mutant, other: Mutant, caught_by: Sequence[str]) -> None:
        """Print what became of two mutants at once."""
        name = f"{one.name} in {other.name}"
        word, style = ("caught", "green") if caught_by else ("ESCAPED", "bold red")
        by = ", ".join(caught_by) or f"neither {one.killed_by} nor {other.killed_by}"
        self._say(f"{word:<8}{name:<60}{by}", style)
        if not caught_by:
            self.unseen_pairs.append(name)

    def finish(self, matrix: Matrix, *, is_all: bool) -> bool:
        """Print the sums; return whether the kit is proved by what was run. With `is_all` all animals were hunted."""
        parts = [matrix_text(matrix), checks_text(matrix)] if matrix.is_whole else []
        for part in (*parts, seeds_text(matrix)):
            self._say("")
            for line in part:
                self._say(line)
        self._say("")
        idle = (
            [check_id for check_id in matrix.idle if check_id in matrix.binding] if matrix.is_whole and is_all else []
        )
        if idle:
            self._say(f"MUST checks that catch nothing: {', '.join(idle)}", "bold red")
        unsure = [row.name for row in matrix.rows if row.seeds is not None and not row.seeds.fewest]
        if unsure:
            self._say(f"an ordinary run may miss: {', '.join(unsure)}", "bold red")
        is_good = not (matrix.escaped or matrix.wronged or self.unseen_pairs or unsure or idle)
        caught, passed = len(matrix.rows) - len(matrix.escaped), len(matrix.references) - len(matrix.wronged)
        self._say(
            f"{caught} of {len(matrix.rows)} broken adapters caught by the check whose rule they break, "
            f"{passed} of {len(matrix.references)} odd ones passed",
            "bold green" if is_good else "bold red",
        )
        return is_good

    def _say(self, text: str, style: str = "") -> None:
        if not self._is_quiet:
            self._console.print(Text(self._mask(text), style=style), soft_wrap=True)
