"""The service of this project passes every check, in memory and in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance.outcome import Exit, Outcome
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.report import failure_text
from conformance.service.runner import run_service
from conformance.service.target import Target
from tests.support.service import Service, configuration, open_service

if TYPE_CHECKING:
    from conformance.service.runner import ServiceReport


def target_of(service: Service, **options: object) -> Target:
    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return service.connect().stream

    return Target(dial=dial, authority="service.test", name="in memory", **options)  # type: ignore[arg-type]


async def checked(service: Service, **options: object) -> ServiceReport:
    spec = specs.load()
    report = await run_service(target_of(service, **options), SERVICE_CHECKS.values(), spec)
    for played in report.errors:
        raise AssertionError(played.kit_error)
    for judged in report.having(Outcome.FAIL, Outcome.NOT_TESTABLE, Outcome.WARN):
        raise AssertionError(failure_text(judged, spec, report.target))
    return report


async def test_it_passes_with_a_token_and_a_resume_window(autojump_clock: object) -> None:
    config = configuration(
        token="a-token-of-the-service-1",
        pool={"queue": {"capacity": 6}},
        stream={"resume_window_ms": 400},
    )
    async with open_service(config) as service:
        report = await checked(service, token="a-token-of-the-service-1", resume_window_ms=400)
    assert report.exit_code is Exit.CONFORMING
    assert not report.having(Outcome.NOT_APPLICABLE)


async def test_it_passes_as_it_is_configured_by_default(autojump_clock: object) -> None:
    async with open_service() as service:
        report = await checked(service)
    assert {each.check.id for each in report.having(Outcome.NOT_APPLICABLE)} == {
        "S-AUT-01", "S-AUT-02", "S-AUT-03", "S-STR-12",
    }  # fmt: skip
    assert report.exit_code is Exit.CONFORMING


pytestmark = pytest.mark.req("OC-CTRL-2004c", "OC-CTRL-2004d")
