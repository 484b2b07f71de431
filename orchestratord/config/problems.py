"""What is wrong with a configuration, told so that it can be mended.

A problem names where (source, line, key), what was expected and what to do. It never repeats a value that could be a
credential.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NON_LOOPBACK_WITHOUT_TOKEN = "NON_LOOPBACK_WITHOUT_TOKEN"
NON_LOOPBACK_WITHOUT_TOKEN_NUMBER = 40301

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend.

    `source` is the file or environment variable that holds the key, `line` its line where it can be found, `code` the
    contract's code where there is one.
    """

    path: KeyPath
    message: str
    source: str = ""
    line: int | None = None
    code: str | None = None

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, key_text(self.path), self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds everything that was found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def code(self) -> str | None:
        """The contract's code of the first problem that has one."""
        return next((problem.code for problem in self.problems if problem.code), None)


def key_text(path: KeyPath) -> str:
    """Write a path the way a person says it: `pools[0].queue.capacity`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?`, or nothing where no known word is close."""
    close = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
