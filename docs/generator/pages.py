"""Finds the generated blocks of a page and fills them.

Pure but for the list of pages: what a block says comes from `BLOCKS`, by the first word of its marker; the other words
are its arguments. A marker that nobody can fill is an error with its line, never an empty block.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from . import checks, codes, commands, configuration, observability, reports, wire, zoo

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"<!-- generated: (?P<marker>[^>]*?) -->\n(?P<body>.*?)<!-- end -->", re.DOTALL)
BLOCKS: dict[str, Callable[[list[str]], str]] = {
    "config": lambda words: configuration.table_of(*words),
    "settings": lambda words: configuration.settings_of(*words),
    "steps": lambda words: configuration.steps(*words),
    "environment": lambda words: configuration.environment(*words),
    "routes": lambda words: wire.routes(*words),
    "fields": lambda words: wire.fields(*words),
    "headers": lambda words: wire.headers(*words),
    "codes": lambda words: codes.codes(*words),
    "worker-errors": lambda words: codes.worker_errors(*words),
    "engine-errors": lambda words: codes.engine_errors(*words),
    "metrics": lambda words: observability.metrics(*words),
    "budgets": lambda words: observability.budgets(*words),
    "log-fields": lambda words: observability.log_fields(*words),
    "help": lambda words: commands.help_of(*words),
    "reports": lambda words: reports.part(*words),
    "checks": lambda words: checks.part(*words),
    "zoo": lambda words: zoo.part(*words),
}
"""The first word of a marker -> what makes the block of its other words."""


class BlockError(ValueError):
    """A marker cannot be filled; the text says which and where."""


def pages() -> list[Path]:
    """Every page, whether it has generated blocks or not."""
    return sorted(DOCS.rglob("*.md"))


def regenerated(page: str) -> str:
    """Return the page with every block filled anew; raise `BlockError` for a marker that cannot be."""
    if page.count("<!-- generated:") != page.count("<!-- end -->"):
        raise BlockError("a generated block has no end, or an end no block")
    return _BLOCK.sub(lambda found: _filled(found, page), page)


def _filled(found: re.Match[str], page: str) -> str:
    kind, *words = found["marker"].split()
    try:
        body = BLOCKS[kind](words)
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        line = page[: found.start()].count("\n") + 1
        raise BlockError(f"line {line}: cannot make `{found['marker']}`: {error!r}") from error
    return f"<!-- generated: {found['marker']} -->\n{body.strip()}\n<!-- end -->"
