"""The adapters that ship with the service, held to the specification: one test for each check.

The suite runs once for each adapter. It brings its own clock, so these tests are not async. An adapter without a
wire and one with a wire are played twice; the slow test of the kept reports plays every one twice.
"""

from __future__ import annotations

from functools import cache

import pytest

from conformance.api import describe, run_suite
from conformance.catalogue import CHECKS
from conformance.outcome import Exit, Outcome, SuiteReport
from conformance.subjects import SUBJECTS

TWICE = frozenset({"mock", "llamacpp"})


@cache
def suite(adapter: str) -> SuiteReport:
    return run_suite(SUBJECTS[adapter], twice=adapter in TWICE)


@pytest.mark.parametrize("check_id", CHECKS)
@pytest.mark.parametrize("adapter", SUBJECTS)
@pytest.mark.req("ADAPT-3000", "ADAPT-3002", "ADAPT-3010", "ADAPT-3101", "OC-ADAPT-5001", "ORCH-3058")
def test_adapter_passes(adapter: str, check_id: str) -> None:
    report = suite(adapter)
    check = next(each for each in report.checks if each.check.id == check_id)
    if check.outcome is Outcome.NOT_APPLICABLE:
        pytest.skip(check.reason)
    assert check.outcome in {Outcome.PASS, Outcome.WARN}, "\n" + describe(check, report)


@pytest.mark.parametrize("adapter", SUBJECTS)
def test_the_kit_itself_made_no_error(adapter: str) -> None:
    report = suite(adapter)
    assert not report.kit_errors, report.kit_errors[0].kit_error
    assert report.exit_code is not Exit.TOO_LITTLE_RAN
