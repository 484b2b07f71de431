"""The reference passes, and each broken service is caught by the check whose rule it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance.check import Level
from conformance.outcome import Exit, Outcome
from conformance.service.broken import BROKEN
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.report import failure_text
from conformance.service.runner import run_service
from conformance.service.target import Target
from conformance.service.zoo import Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.service.check import ServiceCheck
    from conformance.service.runner import ServiceReport

SPEC = specs.load()
TOKEN = "a-token-of-the-zoo-17"
WINDOW_MS = 400


async def visited(
    kind: type[Service], checks: Iterable[ServiceCheck], token: str = TOKEN, window_ms: int = WINDOW_MS
) -> ServiceReport:
    async with trio.open_nursery() as nursery:
        service = kind(nursery, SPEC, token, window_ms / 1000)
        target = Target(
            dial=service.wire.dial, authority="zoo.test", name="the zoo", token=token, max_tokens=160,
            resume_window_ms=window_ms,
        )  # fmt: skip
        report = await run_service(target, checks, SPEC)
        nursery.cancel_scope.cancel()
    return report


@pytest.mark.parametrize("window_ms", [0, WINDOW_MS])
async def test_the_reference_passes(autojump_clock: object, window_ms: int) -> None:
    report = await visited(Service, SERVICE_CHECKS.values(), window_ms=window_ms)
    failed = report.having(Outcome.FAIL, Outcome.NOT_TESTABLE, Outcome.WARN, Outcome.KIT_ERROR)
    assert not failed, "\n\n".join(failure_text(each, SPEC, report.target) for each in failed)
    assert report.exit_code is Exit.CONFORMING


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
async def test_a_broken_service_is_caught_by_the_right_check(autojump_clock: object, kind: type[Service]) -> None:
    check = SERVICE_CHECKS[BROKEN[kind]]
    report = await visited(kind, [check])
    judged = report.checks[0]
    assert judged.outcome is (Outcome.FAIL if check.level is Level.MUST else Outcome.WARN), judged.reason
    text = failure_text(judged, SPEC, report.target)
    assert check.id in text
    assert all(SPEC.requirement(each).statement[:20] in text for each in check.requirements)
    assert report.exit_code is (Exit.NOT_CONFORMING if check.level is Level.MUST else Exit.CONFORMING)


def test_each_check_catches_something() -> None:
    assert set(BROKEN.values()) == set(SERVICE_CHECKS)


def test_each_broken_service_says_what_is_wrong_with_it() -> None:
    assert len({kind.__doc__ for kind in BROKEN}) == len(BROKEN)
