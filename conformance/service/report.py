"""What a person reads of a run against a service; failures, tables and reports are made by what adapters have too."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from conformance.failure import WIDTH, requirements, told
from conformance.under_test import SERVICE, UnderTest

from .catalogue import SERVICE_CHECKS
from .masking import mask_for

if TYPE_CHECKING:
    from conformance.check import Check
    from conformance.outcome import CaseReport, CheckReport
    from specs import Specification

    from .check import ServiceCheck
    from .target import Target


def under_test(target: Target) -> UnderTest:
    """Return a service as what was put to the test."""
    return UnderTest(
        kind=SERVICE,
        name=target.name,
        command=f"conformance service --url {target.name}{target.options}",
        every=SERVICE_CHECKS,
        address=_address,
        named=_named,
        clock="real time in seconds",
    )


def failure_text(report: CheckReport, spec: Specification, target: Target) -> str:
    """Return the block about a check that did not pass."""
    return told(report, spec, under_test(target), mask_for(target))


def _address(check: Check, case: CaseReport) -> str:
    """Return the check, and before it the one in whose play it was seen broken."""
    return check.id if case.case == check.id else f"{case.case},{check.id}"


def _named(case: CaseReport) -> str:
    return f"the play of {case.case}"


def explanation(check: ServiceCheck, spec: Specification) -> str:
    """Return what is known of a check."""
    lines = [f"{check.id} ({check.level}, {check.group})", *textwrap.wrap(check.title, WIDTH)]
    lines += requirements(check, spec)
    lines += [f"  {'causes' if number == 0 else '':<10}{cause}" for number, cause in enumerate(check.causes)]
    return "\n".join(lines)
