"""The kit as functions, for tests and for other programs; the command line is a thin layer over these.

async def test_my_adapter() -> None:
    await check_adapter(MySubject())
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

import trio

import specs

from .baseline import today, with_baseline
from .canary import Canaries
from .catalogue import CHECKS
from .check import MOST_SEEDS
from .failure import failure_text
from .loading import callable_again, own_names
from .outcome import FAILURES, Exit
from .runner import run_checks
from .selection import select_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .gate.facts import Expected
    from .outcome import CheckReport, SuiteReport
    from .subject import Subject


@final
class NotConforming(AssertionError):
    """The adapter broke rules; the text has a block for each of them."""


def run_suite(
    subject: Subject, *, only: Iterable[str] = (), seed: int = 0, twice: bool = True, baseline: Sequence[Expected] = ()
) -> SuiteReport:
    """Run the checks with these ids, or all of them. Takes seconds, and may not be called from inside `trio.run`.

    With `twice`, each case is played again and has to be the same. `baseline` are the failures that are known.
    """
    every = list(CHECKS.values())
    chosen = [CHECKS[check_id] for check_id in only] or every
    named = callable_again(subject)
    report = run_checks(named, select_whole(chosen), specs.load(), every=every, seed=seed, twice=twice)
    return with_baseline(report, baseline, today(), own_names(named))


async def check_adapter(subject: Subject, *, only: Iterable[str] = (), seed: int = 0) -> None:
    """Run the checks; raise `NotConforming` unless the adapter conforms.

    The suite brings its own virtual clock, so it runs in a thread of its own; do not call it under a mock clock.
    """
    report = await trio.to_thread.run_sync(partial(run_suite, subject, only=list(only), seed=seed))
    if report.exit_code is not Exit.CONFORMING:
        raise NotConforming(failures_text(report) or f"no verdict: exit code {report.exit_code!r}")


def failures_text(report: SuiteReport) -> str:
    """Return the blocks of all checks that failed."""
    return "\n\n".join(describe(check, report) for check in report.having(*FAILURES))


def describe(check: CheckReport, report: SuiteReport) -> str:
    """Return the block of one check: its failure, or why it did not run. No canary is in it."""
    return mask_for(report.seed)(failure_text(check, specs.load(), report.subject))


def mask_for(seed: int) -> Callable[[str], str]:
    """Return a function that takes out every canary that a run with this seed may have used."""
    used = [Canaries(seed + extra) for extra in range(MOST_SEEDS)]

    def mask(text: str) -> str:
        for canaries in used:
            text = canaries.mask(text)
        return text

    return mask
