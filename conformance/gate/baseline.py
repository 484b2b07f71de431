"""A baseline: the checks that an adapter is known to fail, each with a reason and a date.

[[expected]]
adapter = "mine"
check = "CAN-03"
reason = "the engine answers a second cancel with 404; fixed in its next release"
until = 2027-01-31

For a service, `service` with its address stands in place of `adapter`; `service = "*"` is any of them.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from .facts import Expected
from .finding import Finding, Place

if TYPE_CHECKING:
    from pathlib import Path

FILE = "conformance-baseline.toml"
_HEADER = re.compile(r"\s*\[\[\s*expected\s*\]\]\s*(#.*)?")
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)$")
_AT_ENTRY = re.compile(r"at `\$\.expected\[(\d+)\]")
_AS_ARRAY = re.compile(r"\s*expected\s*=")


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    check: str
    adapter: str = ""
    service: str = ""
    reason: str = ""
    until: date | None = None

    def __post_init__(self) -> None:
        if bool(self.adapter) == bool(self.service):
            raise ValueError("an entry has to name either an adapter or a service")

    @property
    def whose(self) -> str:
        return self.adapter or self.service


class _Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: tuple[_Row, ...] = ()


def read(path: Path) -> tuple[list[Expected], list[Finding]]:
    """Return the entries, and the findings for a file or an entry that cannot be read."""
    lines = list[str]()
    try:
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        rows = msgspec.convert(tomllib.loads(text), _Baseline).expected
    except (OSError, ValueError) as error:
        return [], [_wrong(path, _line_of(str(error), lines), str(error))]
    headers = _headers(lines)
    if len(headers) != len(rows):  # nothing would say where an entry stands
        line = next((number for number, each in enumerate(lines, 1) if _AS_ARRAY.match(each)), 1)
        return [], [_wrong(path, line, "`expected` is written as an array")]
    entries = [_entry(path, row, line) for row, line in zip(rows, headers, strict=True)]
    first = {(each.adapter, each.check): each for each in reversed(entries)}
    twice = [each for each in entries if first[each.adapter, each.check] is not each]
    return entries, [
        _wrong(path, each.place.line, f"{each.adapter} and {each.check} are there twice") for each in twice
    ]


def _entry(path: Path, row: _Row, line: int) -> Expected:
    place = Place(path.as_posix(), line)
    return Expected(adapter=row.whose, check=row.check, reason=row.reason, until=row.until, place=place)


def _headers(lines: list[str]) -> list[int]:
    return [number for number, line in enumerate(lines, 1) if _HEADER.fullmatch(line)]


def _line_of(message: str, lines: list[str]) -> int:
    """Return the line that a message is about, by the number in it or by that of the entry."""
    if at_line := _AT_LINE.search(message):
        return int(at_line[1])
    at_entry, headers = _AT_ENTRY.search(message), _headers(lines)
    index = int(at_entry[1]) if at_entry is not None else len(headers)
    return headers[index] if index < len(headers) else 1


def _wrong(path: Path, line: int, message: str) -> Finding:
    return Finding("SPEC209", Place(path.as_posix(), line), path.name, message)
