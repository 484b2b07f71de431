"""Tables in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown, whose bars are escaped."""
    return "\n".join([_row(head), _row(["---"] * len(head)), *(_row(row) for row in rows)])


def code(text: object) -> str:
    """Return a text as inline code."""
    return f"`{text}`"


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
