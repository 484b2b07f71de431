"""The kill matrix as text of at most 120 columns. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from .matrix import median_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .matrix import Matrix, Row

_WIDTH = 120
_COLUMNS = 100
"""Mutants beside one another; the id of a check goes before them."""

_TEN = 10
_ACROSS = 4
OWN, OTHER, NONE = "#", "+", "."


def matrix_text(matrix: Matrix) -> Iterator[str]:
    """Yield the matrix, a block for each family of checks: its mutants across, every check that catches one down."""
    yield f"{OWN} caught by the check whose rule it breaks   {OTHER} caught by another   {NONE} not caught"
    rows = sorted(matrix.rows, key=lambda row: row.killed_by)
    for family, members in groupby(rows, key=lambda row: row.killed_by.partition("-")[0]):
        chosen = list(members)
        for start in range(0, len(chosen), _COLUMNS):
            yield from _block(matrix, family, chosen[start : start + _COLUMNS], start)


def _block(matrix: Matrix, family: str, rows: list[Row], start: int) -> Iterator[str]:
    yield ""
    yield f"{family}: {len(rows)} broken adapters"
    yield " " * 8 + "".join(f"{start + number + 1:<10}" for number in range(0, len(rows), _TEN)).rstrip()
    for check_id in matrix.checks:
        cells = "".join(_cell(check_id, row) for row in rows)
        if cells.strip(NONE):
            yield f"{check_id:<8}{cells}"
    yield from _legend(rows, start)


def _cell(check_id: str, row: Row) -> str:
    if check_id not in row.caught_by:
        return NONE
    return OWN if check_id == row.killed_by else OTHER


def _legend(rows: list[Row], start: int) -> Iterator[str]:
    names = [f"{start + number + 1:>3} {row.name}" for number, row in enumerate(rows)]
    width = max(map(len, names)) + 2
    across = max(1, _WIDTH // width)
    for at in range(0, len(names), across):
        yield "".join(f"{name:<{width}}" for name in names[at : at + across]).rstrip()


def checks_text(matrix: Matrix) -> Iterator[str]:
    """Yield what each check catches: mutants made for it, all of them, and those that nothing else catches."""
    yield "check: made for it / caught / caught by nothing else"
    cells = [
        f"{check_id:<7}{len(matrix.made_for(check_id)):>4} /{len(caught):>4} /{len(matrix.alone(check_id)):>3}"
        for check_id in matrix.checks
        if (caught := matrix.caught_by(check_id))
    ]
    for at in range(0, len(cells), _ACROSS):
        yield "    ".join(cells[at : at + _ACROSS])


def seeds_text(matrix: Matrix) -> Iterator[str]:
    """Yield for each mutant whose catch depends on the schedule how much; nothing if none was measured."""
    measured = [row for row in matrix.rows if row.seeds is not None]
    if not measured:
        return
    lucky = matrix.lucky
    yield f"{len(measured) - len(lucky)} of {len(measured)} are caught under every schedule that was tried"
    if lucky:
        yield f"{'of the others':<34}{'schedules':>10}{'share':>7}{'an ordinary run':>24}"
    for row in lucky:
        seeds = row.seeds
        if seeds is not None:
            share, run = f"{seeds.caught / seeds.of:.0%}", f"at least {seeds.fewest} of {seeds.played}"
            yield f"  {row.name:<32}{f'{seeds.caught}/{seeds.of}':>10}{share:>7}{run:>24}"
    if lucky:
        yield f"  median {median_share(lucky):.0%}, lowest {median_share(lucky[:1]):.0%}"
