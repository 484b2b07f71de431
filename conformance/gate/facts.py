"""What the gate compares, as plain values: whoever builds a `Project` by hand can break it in any way.

Nothing here knows where the facts come from; that is `gathering.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from conformance.check import Level
from conformance.outcome import Outcome

from .finding import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from specs import Lock, Requirement, Specification

    from .finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFact:
    """A check of the catalogue."""

    id: str
    requirements: tuple[str, ...]
    place: Place
    level: Level = Level.MUST


@dataclass(frozen=True, slots=True, kw_only=True)
class MutantFact:
    """A broken adapter and the check that has to catch it."""

    name: str
    killed_by: str
    place: Place


@dataclass(frozen=True, slots=True)
class TestFact:
    """A mark of a test: the requirement it names."""

    requirement: str
    test: str
    place: Place

    __test__ = False  # pytest: this is no test


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a set and where it stands."""

    word: str
    place: Place


@dataclass(frozen=True, slots=True)
class Pin:
    """The revision of a requirement that somebody last held a check against; ids as the check writes them."""

    check: str
    requirement: str
    revision: int
    place: Place


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a check came out for one adapter, and in how many cases it was executed."""

    outcome: Outcome
    cases: int


class TestRuns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the tests that name a requirement passed, and how often they did not."""

    passed: int = 0
    other: int = 0

    __test__ = False  # pytest: this is no test


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was executed. `mutants` are the checks that caught each; None where nobody has hunted or run the tests."""

    checks: Mapping[str, Mapping[str, Run]] = field(default_factory=dict)
    mutants: Mapping[str, Sequence[str]] | None = None
    tests: Mapping[str, TestRuns] | None = None
    place: Place = field(default_factory=lambda: Place("evidence"))

    def runs(self, check_id: str) -> dict[str, Run]:
        """Return adapter -> run of one check."""
        return {adapter: runs[check_id] for adapter, runs in self.checks.items() if check_id in runs}

    def is_executed(self, check_id: str) -> bool:
        """Whether any adapter was held to the check."""
        return any(run.cases for run in self.runs(check_id).values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An entry of a baseline: a check that an adapter is known to fail; `until` is None for no date.

    For a service, `adapter` is its address, or `*`.
    """

    adapter: str
    check: str
    place: Place
    reason: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything the gate compares.

    `base` is the lock that a proposed change starts from, `expectable` are the checks that a baseline may name.
    """

    spec: Specification
    today: date
    folder: str = "specs"
    lock: Lock | None = None
    lock_text: str = ""
    base: Lock | None = None
    checks: Sequence[CheckFact] = ()
    mutants: Sequence[MutantFact] = ()
    pins: Sequence[Pin] = ()
    tests: Sequence[TestFact] = ()
    words: Mapping[str, Sequence[Word]] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    baseline: Sequence[Expected] = ()
    expectable: Sequence[str] = ()
    troubles: Sequence[Finding] = ()

    def resolve(self, id: str) -> Requirement | None:
        """Return the requirement of an id or an older one; None if there is none."""
        try:
            return self.spec.requirement(id)
        except KeyError:
            return None

    def place_of(self, *table: str, word: str = "") -> Place:
        """Return the place of a word in a table, or of the folder if there is no such table."""
        try:
            return Place(*self.spec.place(*table, word=word))
        except KeyError:
            return Place(self.folder)
