"""Finding the line of a key in a TOML text.

The standard parser gives values without positions, so this reads the text a second time, only for headers and keys: it
follows tables, arrays of tables and dotted keys, and steps over values that span lines. A key inside an inline table is
found at the line of the key that holds the table. The text has been parsed before: this judges nothing.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .problems import KeyPath

_HEADER = re.compile(r"^\s*(\[\[?)([^\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


def find_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of `path`, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def key_lines(text: str) -> dict[KeyPath, int]:
    """Map every table and key of a valid TOML text to its line, counted from 1."""
    found: dict[KeyPath, int] = {}
    counts: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in _statements(text):
        if header := _HEADER.match(line):
            table = _open_table(_parts(header[2]), is_array=header[1] == "[[", counts=counts)
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            parts = _parts(key[1])
            for length in range(1, len(parts) + 1):
                found.setdefault((*table, *parts[:length]), number)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Give the first line of each header and of each `key = value`, however many lines the value takes."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        yield at + 1, lines[at]
        at += _height(lines[at:]) if _KEY.match(lines[at]) else 1


def _height(lines: list[str]) -> int:
    """How many lines the value that begins on the first line takes: the least number that parses."""
    if not re.search(r"\[|\{|\"\"\"|'''", lines[0]):
        return 1
    for height in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[:height]))
        except tomllib.TOMLDecodeError:
            continue
        return height
    return 1


def _parts(dotted: str) -> tuple[str, ...]:
    """Split `a."b.c".d` into its keys."""
    node: object = tomllib.loads(f"{dotted.strip()} = 0")
    parts: list[str] = []
    while isinstance(node, dict):
        key, node = next(iter(node.items()))
        parts.append(key)
    return tuple(parts)


def _open_table(parts: tuple[str, ...], *, is_array: bool, counts: dict[KeyPath, int]) -> KeyPath:
    """Turn a header into a path: the last element of every array of tables on the way, a new one for `[[...]]`."""
    path: KeyPath = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if is_array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
