"""A baseline: the checks that an adapter is known to fail, each with a reason and a date.

[[expected]]
adapter = "mine"
check = "CAN-03"
reason = "the engine answers a second cancel with 404; fixed in its next release"
until = 2027-01-31
"""

from __future__ import annotations

import tomllib
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from .facts import Expected
from .finding import Finding, Place

if TYPE_CHECKING:
    from pathlib import Path

FILE = "conformance-baseline.toml"


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    adapter: str
    check: str
    reason: str = ""
    until: date | None = None


class _Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: tuple[_Row, ...] = ()


def read(path: Path) -> tuple[list[Expected], list[Finding]]:
    """Return the entries, and the finding for a file that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = msgspec.convert(tomllib.loads(text), _Baseline).expected
    except (OSError, ValueError) as error:
        return [], [Finding("SPEC209", Place(path.as_posix()), path.name, str(error))]
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[expected]]"]
    return [_entry(path, row, line) for row, line in zip(rows, lines, strict=False)], []


def _entry(path: Path, row: _Row, line: int) -> Expected:
    place = Place(path.as_posix(), line)
    return Expected(adapter=row.adapter, check=row.check, reason=row.reason, until=row.until, place=place)
