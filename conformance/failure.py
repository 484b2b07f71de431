"""The text of one failure: what was broken, what was asked, what happened, and how to see it again.

Plain lines, always in the same order. The requirement's sentence is read from its document, never repeated in the code.
A line is masked before it is cut: what is left of a secret that lies across the cut would not be known for one.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from .canary import Canaries
from .under_test import adapter as adapter_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from specs import Specification

    from .check import Check
    from .findings import Finding
    from .outcome import CaseReport, CheckReport
    from .transcript import Entry
    from .under_test import UnderTest

    Mask = Callable[[str], str]

WIDTH = 112
_LONGEST_LINE = 400
_RUN = re.compile(r"([^\s.=-])\1{39,}")  # kilobytes of one letter, as an engine is made to say them
_SHOWN_FINDINGS = 3
_SHOWN_GIVEN = 4
_INDENT = " " * 12


def failure_text(report: CheckReport, spec: Specification, adapter: str) -> str:
    """Return the block about a check that did not pass, for an adapter by its name; no canary of the case is in it."""
    return told(report, spec, adapter_named(adapter))


def told(report: CheckReport, spec: Specification, about: UnderTest, mask: Mask = str) -> str:
    """Return the block about the first case that broke the check; other cases are counted.

    `mask` takes out the secrets that the run had beside the canaries of the case.
    """
    case = report.broken_by[0] if report.broken_by else None
    lines = [*_head(report, spec), *(_story(report, case, about) if case is not None else ())]
    lines += _field("causes", report.check.causes if case is not None else ())
    lines += _others(report)
    again = about.again(report.check, case) if case is not None else about.in_whole([report.check.id], 0)
    lines += _field("reproduce", (again,))
    canaries = Canaries(case.seed if case is not None else 0)
    return "\n".join(_cut(canaries.mask(mask(line))) for line in lines)


def statement(requirement_id: str, spec: Specification) -> Iterator[str]:
    """Yield a requirement's place, then its sentence."""
    found = spec.requirement(requirement_id)
    yield f"{requirement_id} ({found.level}) {found.document}:{found.line}"
    yield from textwrap.wrap(found.statement, WIDTH - len(_INDENT))


def requirements(check: Check, spec: Specification) -> Iterator[str]:
    """Yield the lines about all requirements of a check."""
    for requirement_id in check.requirements:
        yield from _field("requires", statement(requirement_id, spec))


def _head(report: CheckReport, spec: Specification) -> Iterator[str]:
    check = report.check
    yield f"{report.outcome.upper()} {check.id} ({check.level}, {check.group}) {check.title}"
    yield from requirements(check, spec)
    yield from _field("reason", report.reason.splitlines())


def _story(report: CheckReport, case: CaseReport, about: UnderTest) -> Iterator[str]:
    yield from _field("given", (about.named(case), *_first(case.given)))
    yield from _findings(case.told_of(report.check.id))
    yield from _frames(case, about.clock)


def _first(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN_GIVEN]
    if len(lines) > _SHOWN_GIVEN:
        yield f"and {len(lines) - _SHOWN_GIVEN} more scripts like these"


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_SHOWN_FINDINGS]:
        yield from _field("expected", (finding.expected,))
        yield from _field("actual", finding.actual.splitlines())
    if len(findings) > _SHOWN_FINDINGS:
        yield f"{_INDENT}and {len(findings) - _SHOWN_FINDINGS} more of the kind in this case"


def _frames(case: CaseReport, clock: str) -> Iterator[str]:
    entries = case.transcript.around_marks()
    if not entries:
        return
    where = "> is where it went wrong" if case.transcript.marked else "up to where it was seen"
    yield f"  frames    ({clock}; {where})"
    if entries[0].number:
        yield f"{_INDENT}... {entries[0].number} before"
    for entry in entries:
        yield _line(entry, is_marked=entry.number in case.transcript.marked)
    left = len(case.transcript.entries) - entries[-1].number - 1
    if left:
        yield f"{_INDENT}... {left} after"


def _line(entry: Entry, *, is_marked: bool) -> str:
    mark = "> " if is_marked else "  "
    return f"{_INDENT[2:]}{mark}#{entry.number:<3} t={entry.at_s:<10.6g} {entry.who}: {entry.what}"


def _others(report: CheckReport) -> Iterator[str]:
    count = len(report.broken_by) - 1
    if count > 0:
        names = [f"{case.scene}/{case.case}" for case in report.broken_by[1:4]]
        more = f" and {count - 3} more" if count > 3 else ""
        yield from _field("also in", (", ".join(names) + more,))


def _field(name: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {name if number == 0 else '':<10}{line}"


def _cut(line: str) -> str:
    """Return the line in printable characters and of a length that can be read."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    shown = _RUN.sub(lambda run: f"{run[1] * 3}...({len(run[0])} times)", shown)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."
