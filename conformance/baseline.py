"""Known failures: what a baseline makes of how checks came out.

An entry names an adapter or a service, a check, a reason and a date. A failure that is expected does not count; an
entry whose check does not fail any more, or whose date has passed, is stale, and that counts as a failure: what is
fixed leaves the file.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, final

from .catalogue import CHECKS
from .gate.baseline import read
from .outcome import Outcome
from .service.catalogue import SERVICE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from .gate.facts import Expected
    from .outcome import CheckReport, SuiteReport

_EXPECTABLE = frozenset({Outcome.FAIL, Outcome.WARN, Outcome.NOT_TESTABLE, Outcome.NONDETERMINISTIC})


@final
class BadBaseline(ValueError):
    """The file cannot be used; the text says where and why."""


def read_baseline(path: Path) -> Sequence[Expected]:
    """Return the entries of a file; raise `BadBaseline` if it is none, or an entry is not whole."""
    entries, troubles = read(path)
    if troubles:
        raise BadBaseline(f"{troubles[0].place}: {troubles[0].message}")
    for each in entries:
        _expect_whole(each)
    return entries


def today() -> date:
    """Return the date of whoever reads the entries."""
    return date.today()  # noqa: DTZ011 - dates of a baseline are those of its author's calendar


def with_baseline(
    report: SuiteReport, entries: Sequence[Expected], on: date, names: Collection[str] = ()
) -> SuiteReport:
    """Return the run as it counts with a baseline; `names` are what was tried is called beside `report.subject`."""
    own = {each.check: each for each in entries if each.adapter in {report.subject, *names}}
    checks = [_judged(each, own[each.check.id], on) if each.check.id in own else each for each in report.checks]
    return replace(report, checks=checks)


def _judged(report: CheckReport, entry: Expected, on: date) -> CheckReport:
    place = f"{entry.place.file}:{entry.place.line}"
    if report.outcome is Outcome.KIT_ERROR:
        return report
    if report.outcome not in _EXPECTABLE:
        reason = f"it came out as {report.outcome!s}; take the entry out of {place}"
        return replace(report, outcome=Outcome.STALE_BASELINE, reason=reason)
    if entry.until is not None and entry.until < on:
        reason = f"the entry at {place} was good until {entry.until}: {entry.reason}"
        return replace(report, outcome=Outcome.STALE_BASELINE, reason=reason)
    reason = f"{entry.reason} (until {entry.until})"
    return replace(report, outcome=Outcome.EXPECTED_FAILURE, reason=reason)


def _expect_whole(entry: Expected) -> None:
    place = f"{entry.place.file}:{entry.place.line}"
    if entry.check not in CHECKS.keys() | SERVICE_CHECKS.keys():
        raise BadBaseline(f"{place}: there is no check {entry.check!r}")
    if not entry.reason.strip():
        raise BadBaseline(f"{place}: the entry for {entry.check} gives no reason")
    if entry.until is None:
        raise BadBaseline(f"{place}: the entry for {entry.check} has no date; write one, as in until = 2027-01-31")
