"""The same run over and over, in one process: each of them has to be the first one again, to the byte.

Compared are the report and, because a report says nothing of cases that went well, everything that happened in every
case. A run that differs is a flake of the kit or of the adapter; the first difference is kept with its place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, final

from .catalogue import CHECKS
from .comparing import lines_of
from .reporting.writer import report_files
from .runner import run_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from specs import Specification

    from .outcome import CaseReport, SuiteReport
    from .selection import Selection
    from .subject import Subject

    Heard = Callable[["Soaked"], None]

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a run (counted from 1) was not the first one: the case, or the report, and the line in both."""

    run: int
    place: str
    first: str
    now: str


@dataclass(slots=True)
class Soaked:
    """What became of the runs so far; `report` is the first, `times_s` are real seconds."""

    runs: int
    report: SuiteReport | None = None
    times_s: list[float] = field(default_factory=list)
    differing: int = 0
    first_difference: Difference | None = None


def soak(
    subject: Subject,
    selection: Selection,
    spec: Specification,
    *,
    runs: int,
    seed: int = 0,
    heard: Heard = lambda _soaked: None,
) -> Soaked:
    """Run the selected checks so often and compare; `heard` is told after each run."""
    soaked, first = Soaked(runs), _Run()
    for number in range(1, runs + 1):
        began_s = time.perf_counter()
        this = _Run()
        report = run_checks(subject, selection, spec, every=list(CHECKS.values()), seed=seed, seen=this.note)
        this.report = report_files(report, spec)[REPORT]
        soaked.times_s.append(time.perf_counter() - began_s)
        if number == 1:
            soaked.report, first = report, this
        found = first.difference(this, number)
        soaked.differing += found is not None
        soaked.first_difference = soaked.first_difference or found
        heard(soaked)
    return soaked


@final
class _Run:
    """All that happened in one run, as text."""

    def __init__(self) -> None:
        self.report = b""
        self._cases: list[tuple[str, tuple[str, ...]]] = []

    def note(self, case: CaseReport) -> None:
        """Keep what happened in a case."""
        self._cases.append((f"{case.scene}/{case.case}, seed {case.seed}", tuple(lines_of(case))))

    def difference(self, other: _Run, number: int) -> Difference | None:
        """Return the first place at which another run is not this one."""
        if self._cases != other._cases:
            return next(self._differences(other, number))
        if self.report == other.report:
            return None
        lines = zip_longest(
            self.report.decode().splitlines(), other.report.decode().splitlines(), fillvalue="(no more)"
        )
        return next(Difference(number, REPORT, mine, theirs) for mine, theirs in lines if mine != theirs)

    def _differences(self, other: _Run, number: int) -> Iterator[Difference]:
        nothing: tuple[str, tuple[str, ...]] = ("(no more cases)", ())
        for (place, mine), (others_place, theirs) in zip_longest(self._cases, other._cases, fillvalue=nothing):
            if place != others_place:
                yield Difference(number, place, place, others_place)
            for at, (line, others_line) in enumerate(zip_longest(mine, theirs, fillvalue="(nothing more)")):
                if line != others_line:
                    yield Difference(number, f"{place}, at #{at}", line, others_line)
