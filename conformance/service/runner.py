"""Plays the checks one after another, in real time, and keeps what each saw.

First the service is asked what it is; if nothing answers, or something else, nothing is played. When it stops answering
on the way, the rest is not tried. However a play ends, the tasks that it started are cancelled.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from conformance.findings import NotApplicable, NotTestable, Stop
from conformance.outcome import CaseReport, Excuse, Outcome, SuiteReport
from conformance.transcript import Transcript

from .client import WireFault
from .judging import judged
from .stream import OverTooSoon
from .target import Facts, facts_from
from .visit import Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conformance.outcome import CheckReport, Exit
    from specs import Specification

    from .check import ServiceCheck
    from .client import Reply
    from .target import Target

    Heard = Callable[[ServiceCheck], None]

SCENE = "play"
"""In place of a scene's name; the name of the case is the id of the check that is played."""
LONGEST_S = 120.0
"""A play that takes longer than this is stopped: the service answers, but too slowly to be tried."""
_TRIES = 3
_MORE_TOKENS = "; see --max-tokens"
_UNAUTHORIZED = 401
_WAITED = "nothing came"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One run against one service; `unreachable` says why there was none."""

    target: Target
    facts: Facts | None
    suite: SuiteReport
    unreachable: str = ""

    @property
    def checks(self) -> Sequence[CheckReport]:
        """How each check came out."""
        return self.suite.checks

    @property
    def errors(self) -> Sequence[CaseReport]:
        """The plays that ended by a fault of the kit."""
        return self.suite.kit_errors

    @property
    def exit_code(self) -> Exit:
        """What the run says about the service, or about itself."""
        return self.suite.exit_code

    def having(self, *outcomes: Outcome) -> list[CheckReport]:
        """Return the checks that came out in one of these ways."""
        return self.suite.having(*outcomes)


class _Elsewhere(Exception):
    """There is no service to check at that address; the text says what there is."""


async def run_service(
    target: Target, checks: Iterable[ServiceCheck], spec: Specification, heard: Heard = lambda _check: None
) -> ServiceReport:
    """Play the checks against a service; `heard` is told before each play."""
    selected = list(checks)
    try:
        facts = await _learn(target, spec)
    except (WireFault, _Elsewhere) as reason:
        return ServiceReport(target=target, facts=None, suite=_suite(target, []), unreachable=str(reason))
    plays: list[CaseReport] = []
    lost: Excuse | None = None
    for check in selected:
        heard(check)
        played = await _play(check, target, facts, spec) if lost is None else _not_played(check, lost)
        plays.append(played)
        if lost is None and played.findings and await _is_gone(target, facts, spec):
            lost = Excuse(Outcome.NOT_TESTABLE, f"the service has not answered any more since {check.id} was played")
    return ServiceReport(target=target, facts=facts, suite=_suite(target, judged(selected, plays), plays))


def _suite(target: Target, checks: Sequence[CheckReport], plays: Sequence[CaseReport] = ()) -> SuiteReport:
    errors = [each for each in plays if each.kit_error]
    return SuiteReport(subject=target.name, seed=0, checks=checks, cases=len(plays), kit_errors=errors)


async def _learn(target: Target, spec: Specification) -> Facts:
    """Ask for the capabilities and how long an answer takes; the second of three is the usual one."""
    async with trio.open_nursery() as nursery:
        visit = Visit("", target, facts_from(target, {}, 0.0), spec, nursery)
        learned = await _first_answers(visit)
    if isinstance(learned, WireFault):  # raised here: the nursery would put it into a group
        raise learned
    round_trip_s, told = learned
    _expect_a_service(told, target)
    return facts_from(target, told.fields, round_trip_s)


async def _first_answers(visit: Visit) -> tuple[float, Reply] | WireFault:
    try:
        took_s = sorted([await _time_of_an_answer(visit) for _ in range(3)])
        return took_s[1], await visit.call("GET", "/v1/capabilities")
    except WireFault as fault:
        return WireFault(f"{fault}; what is only slow needs --patience" if _WAITED in str(fault) else str(fault))


async def _time_of_an_answer(visit: Visit) -> float:
    began = trio.current_time()
    await visit.call("GET", "/livez")
    return trio.current_time() - began


def _expect_a_service(told: Reply, target: Target) -> None:
    """Tell a service, also a broken one, from a web page, and from one that lets nobody in."""
    if told.status == _UNAUTHORIZED:
        known = "the token that was given is not the right one" if target.token else "it needs a token: --token-env"
        raise _Elsewhere(f"{known} (401 {told.code})")
    if not told.fields and told.header("x-correlation-id") is None:
        kind = told.header("content-type") or "no media type"
        raise _Elsewhere(f"what answers there is another thing: GET /v1/capabilities gives {told.status}, {kind}")


async def _is_gone(target: Target, facts: Facts, spec: Specification) -> bool:
    """Return whether a service in which something was found has stopped to answer altogether."""
    is_gone = False
    async with trio.open_nursery() as nursery:
        try:
            await Visit("", target, facts, spec, nursery).call("GET", "/livez")
        except WireFault:
            is_gone = True
    return is_gone


def _not_played(check: ServiceCheck, why: Excuse) -> CaseReport:
    return CaseReport(scene=SCENE, case=check.id, seed=0, findings=(), given=(), transcript=Transcript(), excuse=why)


async def _play(check: ServiceCheck, target: Target, facts: Facts, spec: Specification) -> CaseReport:
    """Play a check, again if it needed a long answer and the engine happened to say little."""
    for _ in range(_TRIES - 1):
        played = await _play_once(check, target, facts, spec)
        if played.excuse is None or not played.excuse.reason.endswith(_MORE_TOKENS):
            return played
    return await _play_once(check, target, facts, spec)


async def _play_once(check: ServiceCheck, target: Target, facts: Facts, spec: Specification) -> CaseReport:
    excuse: Excuse | None = None
    kit_error: str | None = None
    async with trio.open_nursery() as nursery:
        visit = Visit(check.id, target, facts, spec, nursery)
        try:
            with trio.fail_after(LONGEST_S):
                await check.play(visit)
        except Stop:
            pass
        except trio.TooSlowError:
            excuse = Excuse(Outcome.NOT_TESTABLE, f"it took longer than {LONGEST_S:g} s: the service answers slowly")
        except WireFault as fault:
            visit.expect(False, "an answer", fault)
        except NotApplicable as reason:
            excuse = Excuse(Outcome.NOT_APPLICABLE, str(reason))
        except NotTestable as reason:
            excuse = Excuse(Outcome.NOT_TESTABLE, str(reason))
        except OverTooSoon as reason:
            why = f"an answer of up to {facts.max_tokens} tokens is over {reason}{_MORE_TOKENS}"
            excuse = Excuse(Outcome.NOT_TESTABLE, why)
        except Exception:  # noqa: BLE001 - whatever a play throws besides is a fault of the kit
            kit_error = traceback.format_exc()
        finally:
            with trio.CancelScope(shield=True):
                await visit.tidy()
        nursery.cancel_scope.cancel()
    return CaseReport(
        scene=SCENE, case=check.id, seed=0, findings=visit.findings, given=(check.title,),
        transcript=visit.transcript, excuse=excuse, kit_error=kit_error,
    )  # fmt: skip
