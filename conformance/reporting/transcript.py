"""`transcript.ndjson`: all that happened in the cases that are told, one JSON object a line.

A `run` line first, a `check` line for each check; then for each case a `case` line, its `entry` lines in order, its
`finding` lines; an `over` line last, so that a file that was cut off can be told. Cases that went well are left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .cleaning import TOLD_CASES, is_told
from .record import FORMAT
from .recording import word

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from conformance.outcome import CaseReport, SuiteReport


def ndjson(report: SuiteReport, kind: str) -> str:
    """Return the lines for a cleaned run against that kind of thing."""
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in _lines(report, kind))


def _lines(report: SuiteReport, kind: str) -> Iterator[dict[str, object]]:
    yield {"type": "run", "format": FORMAT, "kind": kind, "subject": report.subject, "seed": report.seed}
    for check in report.checks:
        yield {"type": "check", "id": check.check.id, "outcome": word(check.outcome), "reason": check.reason}
    told: dict[tuple[str, str, int], list[CaseReport]] = {}
    for case in _all_told(report):
        told.setdefault((case.scene, case.case, case.seed), []).append(case)
    for alike in told.values():
        yield from _case_lines(alike[0], {number for case in alike for number in case.transcript.marked})
    yield {"type": "over", "cases_told": len(told), "cases": report.cases, "exit_code": int(report.exit_code)}


def _all_told(report: SuiteReport) -> Iterator[CaseReport]:
    for check in report.checks:
        yield from check.broken_by[:TOLD_CASES]


def _case_lines(case: CaseReport, marked: Collection[int]) -> Iterator[dict[str, object]]:
    yield {"type": "case", "scene": case.scene, "case": case.case, "seed": case.seed, "given": list(case.given)}
    for each in case.transcript.entries:
        if each.who:  # an empty place is an entry too far from where it went wrong
            wrong = each.number in marked
            yield {
                "type": "entry", "number": each.number, "at_s": each.at_s, "who": each.who, "what": each.what,
                "is_wrong": wrong,
            }  # fmt: skip
    for finding in filter(is_told, case.findings):
        yield {
            "type": "finding", "check": finding.check_id, "expected": finding.expected, "actual": finding.actual,
        }  # fmt: skip
