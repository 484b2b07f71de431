"""The checks of a running service as facts, and evidence made by playing them to services in memory, in virtual time.

The reference service is small and correct; each broken one does one thing wrongly, and one check has to notice.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from trio.testing import MockClock

import specs
from conformance.outcome import Outcome
from conformance.service import check as ids
from conformance.service.broken import BROKEN
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.report import failure_text
from conformance.service.runner import run_service
from conformance.service.target import Target
from conformance.service.zoo import Service

from .facts import CheckFact, Evidence, MutantFact, Run
from .source import check_places, seen_from, source_place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.service.check import ServiceCheck
    from conformance.service.runner import ServiceReport

REFERENCE = "reference service"
_CHECKS = Path(ids.__file__).parent / "checks"
_TOKEN = "a-token-of-the-gate"
_WINDOW_MS = 400
"""How long a stream without a reader can be resumed: with a window, the checks of resuming apply."""


def checks(root: Path) -> list[CheckFact]:
    """Return every check of a service."""
    named = {name: value for name, value in vars(ids).items() if isinstance(value, str)}
    places = check_places(_CHECKS, named)
    return [
        CheckFact(id=each.id, requirements=each.requirements, level=each.level, place=seen_from(root, places[each.id]))
        for each in SERVICE_CHECKS.values()
    ]


def mutants(root: Path) -> list[MutantFact]:
    """Return every broken service."""
    return [
        MutantFact(name=kind.__name__, killed_by=id, place=seen_from(root, source_place(kind)))
        for kind, id in BROKEN.items()
    ]


def play() -> Evidence:
    """Play every check to the reference service."""
    report = _visit(Service, SERVICE_CHECKS.values())
    runs = {each.check.id: Run(each.outcome, int(each.outcome is not Outcome.NOT_APPLICABLE)) for each in report.checks}
    return Evidence(checks={REFERENCE: runs})


def hunt_all() -> dict[str, tuple[str, ...]]:
    """Play to each broken service the check that has to notice; return which did, with a text that says of what."""
    return {kind.__name__: _caught(kind, SERVICE_CHECKS[id]) for kind, id in BROKEN.items()}


def _caught(kind: type[Service], check: ServiceCheck) -> tuple[str, ...]:
    report = _visit(kind, [check])
    judged = report.checks[0]
    text = failure_text(judged, specs.load(), report.target)
    is_told = all(each in text for each in check.requirements)
    return (check.id,) if judged.outcome in {Outcome.FAIL, Outcome.WARN} and is_told else ()


def _visit(kind: type[Service], checks: Iterable[ServiceCheck]) -> ServiceReport:
    return trio.run(partial(_visited, kind, checks), clock=MockClock(autojump_threshold=0))


async def _visited(kind: type[Service], checks: Iterable[ServiceCheck]) -> ServiceReport:
    async with trio.open_nursery() as nursery:
        service = kind(nursery, specs.load(), _TOKEN, _WINDOW_MS / 1000)
        target = Target(
            dial=service.wire.dial,
            authority="service.test",
            name=kind.__name__,
            token=_TOKEN,
            max_tokens=160,
            resume_window_ms=_WINDOW_MS,
        )
        report = await run_service(target, checks, specs.load())
        nursery.cancel_scope.cancel()
    return report
