"""Tells how a check came out, from the cases that were played. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .check import Level
from .outcome import TWICE, CheckReport, Outcome
from .subject import SCRIPTS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .check import Check
    from .outcome import CaseReport
    from .selection import Selection
    from .subject import Subject

CREDENTIALS = frozenset({"RED-01", "RED-07"})
"""The checks that look for the credentials which the kit has put in."""


def judged(
    checks: Iterable[Check], selection: Selection, subject: Subject, played: Sequence[CaseReport]
) -> list[CheckReport]:
    """Return how each check came out; one that was not selected is looked at for what broke it beside others."""
    why = subject.limits.get(SCRIPTS)
    reports = [_judge(check, played, why, is_selected=check in selection.checks) for check in checks]
    if SECRETS in subject.limits:
        return [_without_canary(each, subject.limits[SECRETS]) for each in reports]
    return reports


def _judge(check: Check, played: Sequence[CaseReport], why_not: str | None, *, is_selected: bool) -> CheckReport:
    """Return how a check came out; `why_not` is the reason for which the subject can play no script, if it cannot."""
    broken_by = [each for each in played if each.about(check.id)]
    scenes = {scene.name for scene in check.scenes} if is_selected else set()
    own = [each for each in played if each.scene in scenes]
    executed = [each for each in own if each.excuse is None and each.kit_error is None]
    excuses = [each.excuse for each in own if each.excuse is not None]
    unlike = [each for each in own if each.about(TWICE)]
    outcome, reason = Outcome.PASS, ""
    if broken_by:
        outcome = Outcome.FAIL if check.level is Level.MUST else Outcome.WARN
    elif any(each.kit_error for each in own):
        outcome, reason = Outcome.KIT_ERROR, "a case of it ended by a fault of the kit"
    elif unlike:
        outcome, broken_by = Outcome.NONDETERMINISTIC, unlike
        reason = f"{unlike[0].scene}/{unlike[0].case} was not the same when it was played again"
    elif not executed:
        outcome = excuses[0].outcome if excuses else Outcome.NOT_APPLICABLE
        reason = excuses[0].reason if excuses else (why_not or "no case of it fits this subject")
    is_out = why_not is not None and outcome is Outcome.NOT_APPLICABLE
    return CheckReport(
        check=check,
        outcome=outcome,
        executed=len(executed),
        broken_by=broken_by,
        reason=reason,
        is_out_of_reach=is_out,
    )


def _without_canary(report: CheckReport, why: str) -> CheckReport:
    """Return a check that looks for credentials as not applicable: there was none to be found."""
    if report.check.id not in CREDENTIALS or report.outcome is not Outcome.PASS:
        return report
    return replace(report, outcome=Outcome.NOT_APPLICABLE, reason=why, executed=0, is_out_of_reach=True)
