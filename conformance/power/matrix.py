"""The kill matrix as data: what each broken adapter was caught by, and what follows from it. Pure."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable


class Seeds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a catch is a matter of luck.

    The check was played under `of` schedules, each by itself, and caught the mutant in `caught` of them. An ordinary
    run plays `played` in a row; `fewest` is the smallest number among any so many that catch it.
    """

    caught: int
    of: int
    played: int
    fewest: int

    @property
    def is_certain(self) -> bool:
        """Whether the schedule does not matter."""
        return self.caught == self.of


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One broken adapter; `is_right` says that the check whose rule it breaks caught it and named the requirement."""

    name: str
    fault: str
    base: str
    killed_by: str
    caught_by: tuple[str, ...]
    is_right: bool
    seeds: Seeds | None = None
    is_blind: bool = False


class Odd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One odd adapter that conforms; `warns` are checks of rules that only advise, which it does not follow."""

    name: str
    oddity: str
    base: str
    warns: tuple[str, ...]
    blamed_by: tuple[str, ...]
    is_conforming: bool

    @property
    def is_right(self) -> bool:
        """Whether nobody blames it."""
        return self.is_conforming and not self.blamed_by


class Matrix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hunt; `binding` are those of the `checks` that bind. With `is_whole` every check was played on every mutant."""

    version: str
    is_whole: bool
    checks: tuple[str, ...]
    binding: frozenset[str]
    rows: tuple[Row, ...]
    references: tuple[Odd, ...]

    @property
    def escaped(self) -> list[Row]:
        """The broken adapters that were not caught by the right check."""
        return [row for row in self.rows if not row.is_right]

    @property
    def wronged(self) -> list[Odd]:
        """The odd adapters that were blamed."""
        return [odd for odd in self.references if not odd.is_right]

    def made_for(self, check_id: str) -> list[Row]:
        """Return the mutants that break this check's rule."""
        return [row for row in self.rows if row.killed_by == check_id]

    def caught_by(self, check_id: str) -> list[Row]:
        """Return the mutants that this check catches, made for it or not."""
        return [row for row in self.rows if check_id in row.caught_by]

    def alone(self, check_id: str) -> list[Row]:
        """Return the mutants that nothing but this check catches."""
        return [row for row in self.rows if row.caught_by == (check_id,)]

    @property
    def idle(self) -> list[str]:
        """The checks that catch nothing."""
        return [check_id for check_id in self.checks if not self.caught_by(check_id)]

    @property
    def lucky(self) -> list[Row]:
        """The mutants whose catch depends on the schedule, the luckiest first."""
        rows = [row for row in self.rows if row.seeds is not None and not row.seeds.is_certain]
        return sorted(rows, key=_share)

    def to_json(self) -> bytes:
        """Return the matrix as text that is the same for the same matrix."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n"


def read_matrix(text: bytes) -> Matrix:
    """Read what `to_json` writes."""
    return msgspec.json.decode(text, type=Matrix)


def median_share(rows: Iterable[Row]) -> float:
    """Return the median share of schedules under which these mutants are caught; 1 for none."""
    return median([_share(row) for row in rows] or [1.0])


def _share(row: Row) -> float:
    return row.seeds.caught / row.seeds.of if row.seeds is not None else 1.0
