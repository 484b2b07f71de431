"""`transcript.ndjson`: all that happened in the cases that are told, one JSON object a line.

A `run` line first; then for each case a `case` line, its `entry` lines in order, its `finding` lines; an `over` line
last, so that a file that was cut off can be told. What went well is not written down.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .cleaning import TOLD_CASES, is_told
from .record import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.outcome import CaseReport, SuiteReport


def ndjson(report: SuiteReport) -> str:
    """Return the lines for a cleaned run."""
    return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in _lines(report))


def _lines(report: SuiteReport) -> Iterator[dict[str, object]]:
    yield {"type": "run", "format": FORMAT, "adapter": report.subject, "seed": report.seed}
    told = dict.fromkeys(
        (case.scene, case.case, case.seed) for check in report.checks for case in check.broken_by[:TOLD_CASES]
    )
    cases = {(case.scene, case.case, case.seed): case for case in _all_told(report)}
    for address in told:
        yield from _case_lines(cases[address])
    yield {"type": "over", "cases_told": len(told), "cases": report.cases, "exit_code": int(report.exit_code)}


def _all_told(report: SuiteReport) -> Iterator[CaseReport]:
    for check in report.checks:
        yield from check.broken_by[:TOLD_CASES]


def _case_lines(case: CaseReport) -> Iterator[dict[str, object]]:
    yield {"type": "case", "scene": case.scene, "case": case.case, "seed": case.seed, "given": list(case.given)}
    for each in case.transcript.entries:
        if each.who:  # an empty place is an entry too far from where it went wrong
            wrong = each.number in case.transcript.marked
            yield {
                "type": "entry", "number": each.number, "at_s": each.at_s, "who": each.who, "what": each.what,
                "is_wrong": wrong,
            }  # fmt: skip
    for finding in filter(is_told, case.findings):
        yield {
            "type": "finding", "check": finding.check_id, "expected": finding.expected, "actual": finding.actual,
        }  # fmt: skip
