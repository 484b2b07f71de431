"""All rules together, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.outcome import Exit

from . import code_rules, document_rules, evidence_rules, exception_rules, pin_rules, proof_rules
from .codes import TOO_LITTLE, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .facts import Project
    from .finding import Finding, Place


RULES: tuple[Callable[[Project], Iterable[Finding]], ...] = (
    lambda project: project.troubles,
    document_rules.locks,
    document_rules.since,
    document_rules.profiles,
    code_rules.agreements,
    proof_rules.requirements,
    proof_rules.advice,
    proof_rules.checks,
    pin_rules.pins,
    proof_rules.animals,
    proof_rules.tests,
    exception_rules.exclusions,
    exception_rules.baselines,
    evidence_rules.stale,
    evidence_rules.enough,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was found, in the order of codes and places."""

    findings: Sequence[Finding]

    @property
    def errors(self) -> list[Finding]:
        """The findings that fail the gate."""
        return [each for each in self.findings if each.code.severity is Severity.ERROR]

    @property
    def exit_code(self) -> Exit:
        """What they come to: too little evidence is the verdict only if nothing else is wrong."""
        wrong = {each.code_id for each in self.errors}
        if wrong - {TOO_LITTLE}:
            return Exit.NOT_CONFORMING
        return Exit.TOO_LITTLE_RAN if wrong else Exit.CONFORMING


def judge(project: Project) -> Verdict:
    """Apply every rule. What needs evidence is asked for only where there is enough of it."""
    found = [finding for rule in RULES for finding in rule(project)]
    if not any(each.code_id == TOO_LITTLE for each in found):
        found += proof_rules.execution(project)
    return verdict(found)


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the findings sorted, each once."""
    return Verdict(sorted(dict.fromkeys(findings), key=_order))


def _order(finding: Finding) -> tuple[str, Place, str, str]:
    return finding.code_id, finding.place, finding.about, finding.message
