"""What is wrong with exceptions: exclusions and baselines that have no reason, no object, or no more use."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from conformance.outcome import Outcome

from .finding import Finding
from .proofs import Proofs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specs import Exclusion

    from .facts import Expected, Project


def exclusions(project: Project) -> Iterator[Finding]:
    """Judge every exclusion."""
    proofs, checks = Proofs(project), {check.id for check in project.checks}
    for each in project.spec.exclusions:
        if not each.reason.strip():
            yield _exclusion(project, "SPEC201", each, f"{each.id} is excluded and nobody says why")
        known = checks if each.of in {"mutant", "execution"} else set[str]()
        if each.id not in known and project.resolve(each.id) is None:
            yield _exclusion(project, "SPEC202", each, f"there is no {each.id}")
        elif _is_stale(proofs, each):
            yield _exclusion(project, "SPEC203", each, f"{each.id} is excused from the {each.of} that it has")
        if each.until and date.fromisoformat(each.until) < project.today:
            yield _exclusion(project, "SPEC204", each, f"{each.id} was excluded until {each.until}")


def baselines(project: Project) -> Iterator[Finding]:
    """Judge every entry of the baseline."""
    checks = {*project.expectable, *(check.id for check in project.checks)}
    for each in project.baseline:
        if not each.reason.strip():
            yield _expected("SPEC207", each, f"{each.adapter} may fail {each.check} and nobody says why")
        if each.check not in checks:
            yield _expected("SPEC206", each, f"there is no check {each.check}")
            continue
        run = project.evidence.runs(each.check).get(each.adapter)
        if run is not None and run.outcome is Outcome.PASS:
            yield _expected("SPEC205", each, f"{each.adapter} passes {each.check}")
        if each.until is not None and each.until < project.today:
            yield _expected("SPEC208", each, f"{each.adapter} was to pass {each.check} by {each.until}")


def _is_stale(proofs: Proofs, each: Exclusion) -> bool:
    requirement = proofs.project.resolve(each.id)
    match each.of:
        case "check":
            return requirement is not None and bool(proofs.checks(requirement))
        case "test":
            return requirement is not None and proofs.is_proved(requirement)
        case "mutant":
            return any(proofs.is_backed(check) for check in proofs.project.checks if check.id == each.id)
        case "execution":
            return proofs.project.evidence.is_executed(each.id)


def _exclusion(project: Project, code: str, each: Exclusion, message: str) -> Finding:
    return Finding(code, project.place_of("exclusions", word=each.id), each.id, message)


def _expected(code: str, each: Expected, message: str) -> Finding:
    return Finding(code, each.place, f"{each.adapter} {each.check}", message)
