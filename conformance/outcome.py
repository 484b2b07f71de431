"""How things came out: of a case, of a check, of the whole run; and what that means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from .check import Level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .check import Check
    from .findings import Finding
    from .transcript import Transcript

ENOUGH = 0.8
"""Share of the selected MUST checks that has to be executed for a run to mean anything."""


class Exit(IntEnum):
    """Exit codes of the command."""

    CONFORMING = 0
    NOT_CONFORMING = 1
    USAGE = 2
    KIT_ERROR = 3
    TOO_LITTLE_RAN = 4


class Outcome(StrEnum):
    """How a check came out."""

    PASS = "pass"
    FAIL = "FAIL"
    WARN = "warn"
    NOT_APPLICABLE = "n/a"
    NOT_TESTABLE = "NOT TESTABLE"
    NONDETERMINISTIC = "NONDETERMINISTIC"
    EXPECTED_FAILURE = "expected failure"
    STALE_BASELINE = "STALE BASELINE"
    KIT_ERROR = "KIT ERROR"


MEANINGS = {
    Outcome.PASS: "all of it that was tried is as it has to be",
    Outcome.FAIL: "a binding rule is broken; it counts",
    Outcome.WARN: "a recommended rule is not kept; it does not count",
    Outcome.NOT_APPLICABLE: "the rule does not apply here, for the reason given; it does not count",
    Outcome.NOT_TESTABLE: "the rule applies and could not be tried; what nobody has seen is not proved, so it counts",
    Outcome.NONDETERMINISTIC: "the same case gave something else the second time; it counts",
    Outcome.EXPECTED_FAILURE: "it fails, and the baseline knows of it, with a reason and a date; it does not count",
    Outcome.STALE_BASELINE: "the baseline expects a failure that is none any more, or its date has passed; it counts",
    Outcome.KIT_ERROR: "the kit itself failed, so there is no verdict",
}
"""What it means that a check came out so, and whether it counts against what was put to the test."""

FAILURES = (Outcome.FAIL, Outcome.NOT_TESTABLE, Outcome.NONDETERMINISTIC, Outcome.STALE_BASELINE)
"""The ways of coming out that speak against an adapter."""

TWICE = "played-twice"
"""In place of a check's id: the finding that a case gave something else when it was played again."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a case did not look: `NOT_APPLICABLE` or `NOT_TESTABLE`, and the reason."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """One play of one case. `kit_error` is the traceback of a fault that is the kit's own."""

    scene: str
    case: str
    seed: int
    findings: Sequence[Finding]
    given: Sequence[str]
    transcript: Transcript
    excuse: Excuse | None = None
    kit_error: str | None = None

    def about(self, check_id: str) -> list[Finding]:
        """Return the findings that belong to one check."""
        return [finding for finding in self.findings if finding.check_id == check_id]

    def told_of(self, check_id: str) -> list[Finding]:
        """Return what there is to tell about a check: its findings, or that the case was not the same again."""
        return self.about(check_id) or self.about(TWICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One check: how many cases were played for it and which of all cases broke it.

    `is_out_of_reach` says that nothing of it can be tried on an engine that does not do as it is told.
    """

    check: Check
    outcome: Outcome
    executed: int
    broken_by: Sequence[CaseReport] = ()
    reason: str = ""
    is_out_of_reach: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    """One run against one subject."""

    subject: str
    seed: int
    checks: Sequence[CheckReport]
    cases: int
    kit_errors: Sequence[CaseReport] = field(default=())

    def having(self, *outcomes: Outcome) -> list[CheckReport]:
        """Return the checks that came out in one of these ways."""
        return [each for each in self.checks if each.outcome in outcomes]

    @property
    def exit_code(self) -> Exit:
        """What the run says about the adapter, or about itself."""
        if self.kit_errors:
            return Exit.KIT_ERROR
        if self.having(*FAILURES):
            return Exit.NOT_CONFORMING
        return Exit.CONFORMING if self._ran_enough else Exit.TOO_LITTLE_RAN

    @property
    def _ran_enough(self) -> bool:
        within = [each for each in self.checks if not each.is_out_of_reach]
        binding = [each for each in within if each.check.level is Level.MUST] or within
        executed = [each for each in binding if each.executed]
        return len(executed) > 0 and len(executed) >= ENOUGH * len(binding)
