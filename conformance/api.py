"""The kit as functions, for tests and for other programs; the command line is a thin layer over these.

async def test_my_adapter() -> None:
    await check_adapter(MySubject())
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

import trio

import specs

from .canary import Canaries
from .catalogue import CHECKS
from .check import MOST_SEEDS
from .failure import failure_text
from .outcome import Exit, Outcome
from .runner import run_checks
from .selection import select_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .outcome import CheckReport, SuiteReport
    from .subject import Subject


@final
class NotConforming(AssertionError):
    """The adapter broke rules; the text has a block for each of them."""


def run_suite(subject: Subject, *, only: Iterable[str] = (), seed: int = 0) -> SuiteReport:
    """Run the checks with these ids, or all of them. Takes seconds, and may not be called from inside `trio.run`."""
    chosen = [CHECKS[check_id] for check_id in only] or list(CHECKS.values())
    return run_checks(subject, select_whole(chosen), specs.load(), every=list(CHECKS.values()), seed=seed)


async def check_adapter(subject: Subject, *, only: Iterable[str] = (), seed: int = 0) -> None:
    """Run the checks; raise `NotConforming` unless the adapter conforms.

    The suite brings its own virtual clock, so it runs in a thread of its own; do not call it under a mock clock.
    """
    report = await trio.to_thread.run_sync(partial(run_suite, subject, only=list(only), seed=seed))
    if report.exit_code is not Exit.CONFORMING:
        raise NotConforming(failures_text(report) or f"no verdict: exit code {report.exit_code!r}")


def failures_text(report: SuiteReport) -> str:
    """Return the blocks of all checks that failed."""
    return "\n\n".join(describe(check, report) for check in report.having(Outcome.FAIL, Outcome.NOT_TESTABLE))


def describe(check: CheckReport, report: SuiteReport) -> str:
    """Return the block of one check: its failure, or why it did not run. No canary is in it."""
    text = failure_text(check, specs.load(), report.subject) if check.broken_by else f"{check.check.id}: {check.reason}"
    return mask_for(report.seed)(text)


def mask_for(seed: int) -> Callable[[str], str]:
    """Return a function that takes out every canary that a run with this seed may have used."""
    used = [Canaries(seed + extra) for extra in range(MOST_SEEDS)]

    def mask(text: str) -> str:
        for canaries in used:
            text = canaries.mask(text)
        return text

    return mask
