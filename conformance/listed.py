"""The list of checks as text: groups with counts, a line for each check. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from .check import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .check import Check


def listing(checks: Iterable[Check], hint: str) -> str:
    """Return a line for each check, under the name of its group, with counts; `hint` says how to know more."""
    every = list(checks)
    lines = [f"{_counted(every)}; {hint}"]
    width = max((len(check.id) for check in every), default=0)
    for group, few in groupby(every, key=lambda check: check.group):
        members = list(few)
        lines += ["", f"{group}: {_counted(members)}"]
        lines += [f"  {check.id:<{width}}  {check.level:<7} {check.title}" for check in members]
    return "\n".join(lines)


def _counted(checks: Sequence[Check]) -> str:
    counts = Counter(check.level for check in checks)
    levels = ", ".join(f"{counts[level]} {level}" for level in Level if counts[level])
    return f"{len(checks)} {'check' if len(checks) == 1 else 'checks'} ({levels})"
