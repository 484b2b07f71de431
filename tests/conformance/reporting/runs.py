"""Runs that never ran, with any text in any place, and what the tests of every form need of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

import specs
from conformance.catalogue import CHECKS
from conformance.findings import Finding
from conformance.outcome import CaseReport, CheckReport, Outcome, SuiteReport
from conformance.reporting.cleaning import cleaned
from conformance.reporting.recording import recorded
from conformance.transcript import Entry, Transcript

if TYPE_CHECKING:
    from conformance.reporting import Record

SPEC = specs.load()
BROKEN = "FRM-03"
HOSTILE = (
    "</script><script src='https://evil.test/x.js'></script>",
    "]]><!-- --></testcase>",
    "``` \n# heading\n[x](https://evil.test) <img src=x onerror=alert(1)> ````",
    "\x00\x1b[31m\ud800\ufffe\u202e\r\n\x85\u2028end",
    '"><a href="javascript:alert(1)">| a | b |',
    "{{7*7}} & &amp; &#x3c; %0A::error::x @everyone $(id) `id`",
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec=None), max_size=40))


def case(
    text: str = "a text", *, check_id: str = BROKEN, case: str = "completes", kit_error: str | None = None
) -> CaseReport:
    """A case that broke a check and says the text wherever a case can say something."""
    transcript = Transcript()
    transcript.entries += [Entry(0, 0.0, "task-1", "submit() called"), Entry(1, 0.5, text or "who", text)]
    transcript.marked.add(1)
    return CaseReport(
        scene="everyday",
        case=case,
        seed=0,
        findings=[Finding(check_id, text, text)],
        given=[text],
        transcript=transcript,
        kit_error=kit_error,
    )


def run(text: str = "a text", *, adapter: str = "mine", kit_error: str | None = None) -> SuiteReport:
    """A run with a check for each way to come out."""
    reports = [
        CheckReport(
            check=check, outcome=outcome, executed=2, broken_by=_broken_by(outcome, text), reason=_reason(outcome, text)
        )
        for check, outcome in zip(CHECKS.values(), Outcome, strict=False)
    ]
    reports.append(CheckReport(check=CHECKS[BROKEN], outcome=Outcome.FAIL, executed=9, broken_by=[case(text)] * 5))
    errors = [] if kit_error is None else [case(text, kit_error=kit_error)]
    return SuiteReport(subject=adapter, seed=0, checks=reports, cases=20, kit_errors=errors)


def record(text: str = "a text", *, adapter: str = "mine", kit_error: str | None = None) -> Record:
    """The record of such a run."""
    return recorded(cleaned(run(text, adapter=adapter, kit_error=kit_error), SPEC), SPEC)


def good() -> Record:
    """The record of a run of everything in which all is well."""
    checks = [CheckReport(check=check, outcome=Outcome.PASS, executed=1) for check in CHECKS.values()]
    return recorded(SuiteReport(subject="mine", seed=3, checks=checks, cases=64), SPEC)


def _broken_by(outcome: Outcome, text: str) -> list[CaseReport]:
    if outcome in {Outcome.FAIL, Outcome.WARN}:
        check = list(CHECKS.values())[list(Outcome).index(outcome)]
        return [case(text, check_id=check.id)]
    return []


def _reason(outcome: Outcome, text: str) -> str:
    return text if outcome in {Outcome.NOT_APPLICABLE, Outcome.NOT_TESTABLE} else ""
