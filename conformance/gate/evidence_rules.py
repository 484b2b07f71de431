"""What is wrong with evidence: too little of it, or about things that are not there any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.check import Level
from conformance.outcome import ENOUGH

from .codes import TOO_LITTLE
from .finding import Finding
from .proofs import Proofs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Project


def enough(project: Project) -> Iterator[Finding]:
    """Find whether too little was executed for a verdict."""
    binding = [check for check in project.checks if check.level is Level.MUST]
    executed = [check for check in binding if Proofs(project).is_executed(check)]
    if len(executed) < ENOUGH * len(binding):
        message = f"{len(executed)} of {len(binding)} MUST checks were executed"
        yield Finding(TOO_LITTLE, project.evidence.place, "evidence", message)


def stale(project: Project) -> Iterator[Finding]:
    """Find evidence about checks, broken adapters and requirements that are not there."""
    evidence = project.evidence
    checks, animals = {check.id for check in project.checks}, {each.name for each in project.mutants}
    told = {
        "check": sorted({id for runs in evidence.checks.values() for id in runs} - checks),
        "broken adapter": sorted(set(evidence.mutants or ()) - animals),
        "requirement": sorted(id for id in evidence.tests or () if project.resolve(id) is None),
    }
    for what, names in told.items():
        for name in names:
            yield Finding("SPEC403", evidence.place, name, f"there is no {what} {name}")
