"""Tells how each check came out, from the plays. A finding may belong to another check than the one played. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.check import Level
from conformance.outcome import CheckReport, Outcome
from conformance.transcript import Transcript

from .visit import KIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.outcome import CaseReport

    from .check import ServiceCheck


def judged(checks: Iterable[ServiceCheck], plays: Sequence[CaseReport]) -> list[CheckReport]:
    """Return how each check came out; findings about others than these are left out."""
    return [_judge(check, plays) for check in checks]


def _judge(check: ServiceCheck, plays: Iterable[CaseReport]) -> CheckReport:
    own = next(play for play in plays if play.case == check.id)
    broken_by = [_pointed_at(check.id, play) for play in plays if play.about(check.id)]
    broken_by.sort(key=lambda play: play.case != check.id)  # what its own play saw is told first
    outcome, reason = Outcome.PASS, ""
    if broken_by:
        outcome = Outcome.FAIL if check.level is Level.MUST else Outcome.WARN
    elif own.kit_error:
        outcome, reason = Outcome.KIT_ERROR, "its play ended by a fault of the kit"
    elif own.excuse is not None:
        outcome, reason = own.excuse.outcome, own.excuse.reason
    was_played = own.excuse is None and own.kit_error is None
    return CheckReport(check=check, outcome=outcome, executed=int(was_played), broken_by=broken_by, reason=reason)


def _pointed_at(check_id: str, play: CaseReport) -> CaseReport:
    """Return the play with only those places marked where this check's rule was seen broken."""
    copy = Transcript()
    copy.entries += play.transcript.entries
    copy.marked |= {
        each.number for each in copy.entries if each.who == KIT and each.what.startswith(f"{check_id} is broken")
    }
    return replace(play, transcript=copy)
