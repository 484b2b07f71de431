"""What the gate has to say: a finding with its code and place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .codes import CODES

if TYPE_CHECKING:
    from .codes import Code


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A file, as it is called from the folder of the project, and a line of it, from 1."""

    file: str
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `about` is the id or the word it is about; the code says what to do."""

    code_id: str
    place: Place
    about: str
    message: str

    @property
    def code(self) -> Code:
        """The kind of finding."""
        return CODES[self.code_id]
