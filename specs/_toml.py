"""Turning the TOML of a block into typed rows, with the line of what is wrong.

The parser gives values without positions and the converter gives a path into them, `$.row[2].kind`; the line is found
by reading the text again: the third `[[row]]`, and `kind =` below it.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from ._markdown import Block

T = TypeVar("T")

_AT_LINE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.DOTALL)
_PATH = re.compile(r"^(.*) - at `(?:key in )?\$([^`]*)`$", re.DOTALL)
_STEP = re.compile(r"\.?([A-Za-z0-9_]+)|\[(\d+)\]")
_FIELD = re.compile(r"unknown field `([^`]+)`")


def read_toml(block: Block, shape: type[T]) -> T:
    """Return the block's text as `shape`; raise `SpecError` at the line of what does not fit."""
    if block.language != "toml":
        raise block.error(f"a {block.kind} block is written in TOML, not {block.language or 'plain text'}")
    try:
        return msgspec.convert(tomllib.loads(block.text), shape)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(block, str(error)) from None
    except msgspec.ValidationError as error:
        raise _shape(block, str(error)) from None


def row_line(block: Block, table: str, index: int, key: str = "") -> int:
    """Return the line inside the block of the `index`-th `[[table]]`, or of `key` in it where it has one."""
    lines = lines_of(block.text)
    headers = header_lines(block.text, table)
    return _key_line(lines, headers[index], key) if index < len(headers) else _key_line(lines, 0, key or table)


def header_lines(text: str, table: str) -> list[int]:
    """Return the lines, from 1, of the headers `[[table]]`."""
    header = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]\s*(#.*)?")
    return [number for number, line in enumerate(lines_of(text), 1) if header.fullmatch(line)]


def find_line(text: str, word: str, nth: int = 1) -> int:
    """Return the line of `text`, from 1, that has the word for the `nth` time, or the last; 0 if none has."""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    found = [number for number, line in enumerate(lines_of(text), 1) for _ in pattern.findall(line)]
    return (found[:nth] or [0])[-1]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text as editors count them: only a line feed ends one."""
    return text.removesuffix("\n").split("\n")


def _key_line(lines: list[str], start: int, key: str) -> int:
    for number, line in enumerate(lines[start:], start + 1):
        if key and re.match(rf"\s*(?:\[+[\w.]*)?\b{re.escape(key)}\b\s*[\]=]", line):
            return number
        if start and line.startswith("["):
            break
    return start


def _syntax(block: Block, message: str) -> Exception:
    found = _AT_LINE.match(message)
    if found is None:  # at the end of the text
        return block.error(f"not TOML: {message}", len(lines_of(block.text)))
    return block.error(f"not TOML: {found[1]}", int(found[2]))


def _shape(block: Block, message: str) -> Exception:
    found = _PATH.match(message)
    path = [name or int(index) for name, index in _STEP.findall(found[2])] if found else []
    unknown = _FIELD.search(message)
    names = [step for step in path if isinstance(step, str)] + ([unknown[1]] if unknown else [])
    index = next((step for step in path if isinstance(step, int)), None)
    if index is not None and names:
        return block.error(message, row_line(block, names[0], index, names[-1] if len(names) > 1 else ""))
    return block.error(message, _key_line(lines_of(block.text), 0, names[-1]) if names else 0)
