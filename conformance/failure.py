"""The text of one failure: what was broken, what was asked, what happened, and how to see it again.

Plain lines, always in the same order. The requirement's sentence is read from its document, never repeated in the code.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from .catalogue import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from specs import Specification

    from .check import Check
    from .findings import Finding
    from .outcome import CaseReport, CheckReport
    from .transcript import Entry

_WIDTH = 112
_LONGEST_LINE = 400
_SHOWN_FINDINGS = 3
_INDENT = " " * 12


def failure_text(report: CheckReport, spec: Specification, adapter: str) -> str:
    """Return the block about the first case that broke the check; other cases are counted."""
    case = report.broken_by[0]
    return "\n".join((
        f"{report.outcome.upper()} {report.check.id} ({report.check.level}, {report.check.group}) {report.check.title}",
        *_requirements(report.check, spec),
        *_given(case),
        *_findings(case.told_of(report.check.id)),
        *_frames(case),
        *_field("causes", report.check.causes),
        *_others(report),
        f"  reproduce {reproduce(report.check, case, adapter)}",
    ))


def reproduce(check: Check, case: CaseReport, adapter: str) -> str:
    """Return the command that plays this case again."""
    seed = f" --seed {case.seed}" if case.seed else ""
    owner = check if case.scene in {scene.name for scene in check.scenes} else _owner(case.scene)
    return f"python -m conformance run --adapter {adapter} --only {owner.id}:{case.scene}/{case.case}{seed}"


def _owner(scene_name: str) -> Check:
    """Return a check whose scene this is; the broken rule is watched under it."""
    return next(check for check in CHECKS.values() if scene_name in {scene.name for scene in check.scenes})


def statement(requirement_id: str, spec: Specification) -> Iterator[str]:
    """Yield a requirement's place, then its sentence."""
    found = spec.requirement(requirement_id)
    yield f"{requirement_id} ({found.level}) {found.document}:{found.line}"
    yield from textwrap.wrap(found.statement, _WIDTH - len(_INDENT))


def _requirements(check: Check, spec: Specification) -> Iterator[str]:
    for requirement_id in check.requirements:
        yield from _field("requires", statement(requirement_id, spec))


def _given(case: CaseReport) -> Iterator[str]:
    yield from _field("given", (f"scene {case.scene}, case {case.case}, seed {case.seed}", *case.given))


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_SHOWN_FINDINGS]:
        yield from _field("expected", (finding.expected,))
        yield from _field("actual", finding.actual.splitlines())
    if len(findings) > _SHOWN_FINDINGS:
        yield f"{_INDENT}and {len(findings) - _SHOWN_FINDINGS} more of the kind in this case"


def _frames(case: CaseReport) -> Iterator[str]:
    entries = case.transcript.around_marks()
    if not entries:
        return
    yield "  frames    (virtual time in seconds; > is where it went wrong)"
    if entries[0].number:
        yield f"{_INDENT}... {entries[0].number} before"
    for entry in entries:
        yield _line(entry, is_marked=entry.number in case.transcript.marked)
    left = len(case.transcript.entries) - entries[-1].number - 1
    if left:
        yield f"{_INDENT}... {left} after"


def _line(entry: Entry, *, is_marked: bool) -> str:
    line = f"{'> ' if is_marked else '  '}#{entry.number:<3} t={entry.at_s:<10.6g} {entry.who}: {entry.what}"
    return f"{_INDENT[2:]}{_cut(line)}"


def _others(report: CheckReport) -> Iterator[str]:
    count = len(report.broken_by) - 1
    if count:
        names = [f"{case.scene}/{case.case}" for case in report.broken_by[1:4]]
        more = f" and {count - 3} more" if count > 3 else ""
        yield from _field("also in", (", ".join(names) + more,))


def _field(name: str, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {name if number == 0 else '':<10}{_cut(line)}"


def _cut(line: str) -> str:
    """Return the line in printable characters and of a length that can be read."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."
