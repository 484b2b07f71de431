"""Makes the record of a run: what the runner found, with the sentences of the specification beside it.

The run is cleaned first, so nothing that is made from a record has to be. Pure.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING

from conformance.failure import told
from conformance.outcome import Exit, Outcome
from conformance.under_test import SERVICE, adapter
from specs import lock_text, locked

from .cleaning import TOLD_CASES, TOLD_FINDINGS
from .record import FORMAT, BrokenCase, CheckResult, Found, KitError, Moment, Record, Rule, Suite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.check import Check
    from conformance.outcome import CaseReport, CheckReport, SuiteReport
    from conformance.under_test import UnderTest
    from specs import Specification

VERDICTS = {
    Exit.CONFORMING: "conforming",
    Exit.NOT_CONFORMING: "not-conforming",
    Exit.KIT_ERROR: "kit-error",
    Exit.TOO_LITTLE_RAN: "too-little-ran",
}


def recorded(report: SuiteReport, spec: Specification, about: UnderTest | None = None) -> Record:
    """Return the record of a cleaned run; `about` is what was put to the test, if not the adapter of that name."""
    about = about or adapter(report.subject)
    checks = tuple(_check(each, spec, about) for each in report.checks)
    rules = sorted({id for check in checks for id in check.requirements})
    return Record(
        format=FORMAT,
        suite=suite(spec),
        kind=about.kind,
        subject=report.subject,
        seed=report.seed,
        is_whole={each.check.id for each in report.checks} >= set(about.every),
        is_black_box=about.kind == SERVICE or any(each.is_out_of_reach for each in report.checks),
        verdict=VERDICTS[report.exit_code],
        exit_code=int(report.exit_code),
        cases=report.cases,
        totals=_totals(checks),
        groups={group: _totals(each for each in checks if each.group == group) for group in _groups(checks)},
        checks=checks,
        requirements={id: _rule(id, spec) for id in rules},
        kit_errors=tuple(_kit_error(case) for case in report.kit_errors),
        reproduce=f"{about.in_whole([each.check.id for each in report.checks], report.seed)} --report DIR",
    )


def suite(spec: Specification) -> Suite:
    """Return which kit this is, and which specification."""
    digest = sha256(lock_text(locked(spec)).encode()).hexdigest()
    return Suite(version=version("orchestratord"), requirements=len(spec.requirements), sha256=digest)


def word(outcome: Outcome) -> str:
    """Return the word for an outcome in files: that of the terminal is made to be seen."""
    return outcome.name.lower().replace("_", "-")


def _check(report: CheckReport, spec: Specification, about: UnderTest) -> CheckResult:
    check = report.check
    return CheckResult(
        id=check.id,
        title=check.title,
        group=check.group,
        level=check.level,
        outcome=word(report.outcome),
        is_out_of_reach=report.is_out_of_reach,
        reason=report.reason,
        requirements=check.requirements,
        scenes=tuple(scene.name for scene in check.scenes),
        causes=check.causes,
        played=report.executed,
        broken=len(report.broken_by),
        cases=tuple(_case(check, case, about) for case in report.broken_by[:TOLD_CASES]),
        text="" if report.outcome is Outcome.PASS else told(report, spec, about),
    )


def _case(check: Check, case: CaseReport, about: UnderTest) -> BrokenCase:
    transcript, found = case.transcript, case.told_of(check.id)
    return BrokenCase(
        scene=case.scene,
        case=case.case,
        seed=case.seed,
        given=tuple(case.given),
        findings=tuple(Found(expected=each.expected, actual=each.actual) for each in found[:TOLD_FINDINGS]),
        found=len(found),
        moments=tuple(
            Moment(
                number=each.number,
                at_s=each.at_s,
                who=each.who,
                what=each.what,
                is_wrong=each.number in transcript.marked,
            )
            for each in transcript.around_marks()
        ),
        entries=len(transcript.entries),
        reproduce=about.again(check, case),
    )


def _rule(id: str, spec: Specification) -> Rule:
    found = spec.requirement(id)
    return Rule(level=found.level, document=found.document, line=found.line, statement=found.statement)


def _kit_error(case: CaseReport) -> KitError:
    return KitError(scene=case.scene, case=case.case, seed=case.seed, trace=case.kit_error or "")


def _totals(checks: Iterable[CheckResult]) -> dict[str, int]:
    """Return outcome -> how many checks, in the order of the outcomes; those that nothing came to are left out."""
    counts = Counter(check.outcome for check in checks)
    return {name: counts[name] for name in map(word, Outcome) if counts[name]}


def _groups(checks: Iterable[CheckResult]) -> list[str]:
    return list(dict.fromkeys(check.group for check in checks))
