"""What counts as a proof: which checks, tests and exclusions stand for a requirement, and which animals for a check.

Pure lookups over a `Project`; the rules that judge them are in `proof_rules.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.check import Level
from specs import Level as Keyword

if TYPE_CHECKING:
    from specs import Exclusion, Requirement

    from .facts import CheckFact, Project, TestFact

BINDING = frozenset({Keyword.MUST, Keyword.MUST_NOT})


@dataclass(frozen=True)
class Proofs:
    """The proofs of a project."""

    project: Project

    @cached_property
    def binding(self) -> list[Requirement]:
        """The requirements that bind."""
        return [each for each in self.project.spec.requirements.values() if each.level in BINDING]

    @cached_property
    def advice(self) -> list[Requirement]:
        """The requirements that do not."""
        return [each for each in self.project.spec.requirements.values() if each.level not in BINDING]

    @cached_property
    def _checks(self) -> dict[str, list[CheckFact]]:
        found: dict[str, list[CheckFact]] = {}
        for check in self.project.checks:
            for id in check.requirements:
                requirement = self.project.resolve(id)
                if requirement is not None:
                    found.setdefault(requirement.id, []).append(check)
        return found

    @cached_property
    def _tests(self) -> dict[str, list[TestFact]]:
        found: dict[str, list[TestFact]] = {}
        for test in self.project.tests:
            requirement = self.project.resolve(test.requirement)
            if requirement is not None:
                found.setdefault(requirement.id, []).append(test)
        return found

    @cached_property
    def _excluded(self) -> dict[tuple[str, str], Exclusion]:
        aliases = self.project.spec.aliases
        return {(aliases.get(each.id, each.id), each.of): each for each in self.project.spec.exclusions}

    def checks(self, requirement: Requirement, *, binding: bool = True) -> list[CheckFact]:
        """Return the checks that name a requirement; with `binding` only those that bind as well."""
        named = self._checks.get(requirement.id, [])
        return [each for each in named if each.level is Level.MUST or not binding]

    def tests(self, requirement: Requirement) -> list[TestFact]:
        """Return the tests that name a requirement."""
        return self._tests.get(requirement.id, [])

    def is_excluded(self, id: str, of: str) -> bool:
        """Whether a proof of a requirement or check is not asked for."""
        return (id, of) in self._excluded

    def asks_for_check(self, requirement: Requirement) -> bool:
        """Whether only a check proves the requirement: it binds adapters that we do not know, and is not excused."""
        profile = self.project.spec.profile_of(requirement)
        is_about_strangers = profile is not None and profile.proof == "check" and requirement.level in BINDING
        return is_about_strangers and not self.is_excluded(requirement.id, "check")

    def is_proved(self, requirement: Requirement) -> bool:
        """Whether a requirement has the proof that its profile asks for."""
        checks = self.checks(requirement, binding=requirement.level in BINDING)
        return bool(checks) or (not self.asks_for_check(requirement) and bool(self.tests(requirement)))

    def is_backed(self, check: CheckFact) -> bool:
        """Whether a broken adapter is caught by the check: as it is declared and, where there is evidence, in fact."""
        declared = [each.name for each in self.project.mutants if each.killed_by == check.id]
        kills = self.project.evidence.mutants
        return any(kills is None or check.id in kills.get(name, ()) for name in declared)

    def is_executed(self, check: CheckFact) -> bool:
        """Whether any adapter was held to the check."""
        return self.project.evidence.is_executed(check.id)
