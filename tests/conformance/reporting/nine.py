"""A run with one check for each of the nine ways to come out, made of what really leads there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.catalogue import CHECKS
from conformance.check import Level
from conformance.outcome import TWICE, CheckReport, Outcome, SuiteReport

from .runs import case

if TYPE_CHECKING:
    from conformance.check import Check

_BINDING = [check for check in CHECKS.values() if check.level is Level.MUST]
_ADVICE = next(check for check in CHECKS.values() if check.level is Level.SHOULD)
REASONS = {
    Outcome.NOT_APPLICABLE: "the engine has no embeddings",
    Outcome.NOT_TESTABLE: "the double of the engine cannot stall",
    Outcome.NONDETERMINISTIC: "everyday/completes was not the same when it was played again",
    Outcome.EXPECTED_FAILURE: "mended in the engine's next release (until 2027-01-31)",
    Outcome.STALE_BASELINE: "it came out as pass; take the entry out of known.toml:7",
    Outcome.KIT_ERROR: "a case of it ended by a fault of the kit",
}
"""Outcome -> why it came out so, where it needs saying."""
OF = {outcome: _ADVICE if outcome is Outcome.WARN else check for outcome, check in zip(Outcome, _BINDING, strict=False)}
"""Outcome -> the check that came out so."""
ALIKE = {Outcome.FAIL, Outcome.WARN, Outcome.EXPECTED_FAILURE}
"""The ways to come out that have findings."""


def nine() -> SuiteReport:
    """Return the run."""
    error = case("in the double", kit_error="Traceback\nLookupError: the kit's own")
    reports = [_report(check, outcome) for outcome, check in OF.items()]
    return SuiteReport(subject="mine", seed=0, checks=reports, cases=40, kit_errors=[error])


def _report(check: Check, outcome: Outcome) -> CheckReport:
    broken = case(f"what {check.id} saw", check_id=TWICE if outcome is Outcome.NONDETERMINISTIC else check.id)
    is_broken = outcome in ALIKE or outcome is Outcome.NONDETERMINISTIC
    return CheckReport(
        check=check,
        outcome=outcome,
        executed=int(outcome not in {Outcome.NOT_APPLICABLE, Outcome.NOT_TESTABLE}),
        broken_by=[replace(broken)] if is_broken else [],
        reason=REASONS.get(outcome, ""),
    )
