"""What is logged while a case runs, record by record, for a case that has to count or to judge it itself.

`capture` hears everything and is searched when a case is over; this is the same root logger, heard as it goes on.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Record:
    """One log record; `level` is a number of the standard library, 30 for a warning."""

    level: int
    logger: str
    message: str

    def __str__(self) -> str:
        return f"{logging.getLevelName(self.level)} {self.logger}: {self.message}"


@contextmanager
def listening() -> Iterator[list[Record]]:
    """Yield a list that grows with every record that anybody logs meanwhile."""
    records: list[Record] = []
    handler = _Handler(records)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield records
    finally:
        root.removeHandler(handler)


@final
class _Handler(logging.Handler):
    def __init__(self, records: list[Record]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(Record(record.levelno, record.name, record.getMessage()))
