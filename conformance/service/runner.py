"""Plays the checks one after another and says how each came out.

First the service is asked what it is; if it does not answer at all, nothing is played. A finding may belong to a check
other than the one that was played; those that were not selected are left out.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from conformance.check import Level
from conformance.findings import Finding, NotApplicable, NotTestable, Stop
from conformance.outcome import ENOUGH, Excuse, Exit, Outcome

from .client import WireFault
from .target import Facts, facts_from
from .visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from specs import Specification

    from .check import ServiceCheck
    from .target import Target

LONGEST_S = 120.0
"""A play that takes longer than this is stopped: every wait in it is bounded, so it is the kit that hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One check's play: what was found, whosever rule it breaks."""

    check: ServiceCheck
    findings: Sequence[Finding]
    journal: Sequence[str]
    excuse: Excuse | None = None
    kit_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How one check came out; `findings` go with the play in which each was made."""

    check: ServiceCheck
    outcome: Outcome
    findings: Sequence[tuple[Played, Finding]] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One run against one service; `unreachable` says why there was none."""

    target: Target
    facts: Facts | None
    checks: Sequence[Judged] = ()
    unreachable: str = ""
    errors: Sequence[Played] = field(default=())

    def having(self, *outcomes: Outcome) -> list[Judged]:
        """Return the checks that came out in one of these ways."""
        return [each for each in self.checks if each.outcome in outcomes]

    @property
    def exit_code(self) -> Exit:
        """What the run says about the service, or about itself."""
        if self.errors:
            return Exit.KIT_ERROR
        if self.having(Outcome.FAIL, Outcome.NOT_TESTABLE):
            return Exit.NOT_CONFORMING
        binding = [each for each in self.checks if each.check.level is Level.MUST] or self.checks
        played = [each for each in binding if each.outcome is not Outcome.NOT_APPLICABLE]
        is_enough = played and len(played) >= ENOUGH * len(binding)
        return Exit.CONFORMING if is_enough else Exit.TOO_LITTLE_RAN


async def run_service(
    target: Target,
    checks: Iterable[ServiceCheck],
    spec: Specification,
    heard: Callable[[Played], None] = lambda _: None,
) -> ServiceReport:
    """Play the checks against a service; `heard` is told after each play."""
    selected = list(checks)
    try:
        facts = await _learn(target, spec)
    except WireFault as fault:
        return ServiceReport(target=target, facts=None, unreachable=str(fault))
    plays: list[Played] = []
    for check in selected:
        played = await _play(check, target, facts, spec)
        plays.append(played)
        heard(played)
    errors = [each for each in plays if each.kit_error]
    judged = [_judge(check, plays) for check in selected]
    return ServiceReport(target=target, facts=facts, checks=judged, errors=errors)


async def _learn(target: Target, spec: Specification) -> Facts:
    """Ask for the capabilities and how long an answer takes."""
    async with trio.open_nursery() as nursery:
        visit = Visit("", target, facts_from(target, {}, 0.0), spec, nursery)
        took = []
        for _ in range(3):
            began = trio.current_time()
            fault = await _try_call(visit)
            took.append(trio.current_time() - began)
        told = {} if fault else (await visit.call("GET", "/v1/capabilities")).fields
    if fault is not None:
        raise fault
    return facts_from(target, told, sorted(took)[1])


async def _try_call(visit: Visit) -> WireFault | None:
    try:
        await visit.call("GET", "/livez")
    except WireFault as fault:
        return fault
    return None


async def _play(check: ServiceCheck, target: Target, facts: Facts, spec: Specification) -> Played:
    excuse: Excuse | None = None
    kit_error: str | None = None
    async with trio.open_nursery() as nursery:
        visit = Visit(check.id, target, facts, spec, nursery)
        try:
            with trio.fail_after(LONGEST_S):
                await check.play(visit)
        except Stop:
            pass
        except WireFault as fault:
            visit.expect(False, "an answer", fault)
        except NotApplicable as reason:
            excuse = Excuse(Outcome.NOT_APPLICABLE, str(reason))
        except NotTestable as reason:
            excuse = Excuse(Outcome.NOT_TESTABLE, str(reason))
        except Exception:  # noqa: BLE001 - whatever a play throws besides is a fault of the kit
            kit_error = traceback.format_exc()
        await visit.tidy()
        nursery.cancel_scope.cancel()
    return Played(check=check, findings=visit.findings, journal=visit.journal.lines, excuse=excuse, kit_error=kit_error)


def _judge(check: ServiceCheck, plays: Iterable[Played]) -> Judged:
    found = [(played, finding) for played in plays for finding in played.findings if finding.check_id == check.id]
    if found:
        outcome = Outcome.FAIL if check.level is Level.MUST else Outcome.WARN
        return Judged(check=check, outcome=outcome, findings=found)
    own = next(played for played in plays if played.check is check)
    if own.kit_error:
        return Judged(check=check, outcome=Outcome.KIT_ERROR, reason=own.kit_error)
    if own.excuse is not None:
        return Judged(check=check, outcome=own.excuse.outcome, reason=own.excuse.reason)
    others = {finding.check_id for finding in own.findings}
    reason = f"the play also broke {', '.join(sorted(others))}" if others else ""
    return Judged(check=check, outcome=Outcome.PASS, reason=reason)
