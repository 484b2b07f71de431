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
from .beginning import where_to_begin
from .canary import Canaries, written
from .catalogue import CHECKS
from .check import MOST_SEEDS
from .failure import failure_text
from .loading import callable_again, expect_subject, own_names, unknown
from .outcome import FAILURES, Exit
from .rehearsal import rehearse
from .runner import run_checks
from .selection import select_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from .check import Check
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

    With `twice`, each case is played again and has to be the same. `baseline` are the failures that are known. Raises
    `NoSubject` or `CannotPlay` for a subject that is none or does not open, `ValueError` for an id that no check has.
    """
    every = list(CHECKS.values())
    chosen = [_check(check_id) for check_id in _ids(only)] or every
    expect_subject(subject)
    named = callable_again(subject)
    rehearse(named)
    report = run_checks(named, select_whole(chosen), specs.load(), every=every, seed=seed, twice=twice)
    return with_baseline(report, baseline, today(), own_names(named))


async def check_adapter(subject: Subject, *, only: Iterable[str] = (), seed: int = 0) -> None:
    """Run the checks; raise `NotConforming` unless the adapter conforms.

    The suite brings its own virtual clock, so it runs in a thread of its own; do not call it under a mock clock.
    """
    report = await trio.to_thread.run_sync(partial(run_suite, subject, only=list(_ids(only)), seed=seed))
    if report.exit_code is not Exit.CONFORMING:
        begin = where_to_begin(report)
        raise NotConforming("\n\n".join(filter(None, (failures_text(report) or no_verdict(report), begin))))


def no_verdict(report: SuiteReport) -> str:
    """Return why a run without a failure says nothing about the adapter."""
    if report.exit_code is Exit.TOO_LITTLE_RAN:
        return "too little could be tried for a verdict: see the reasons for what was skipped"
    told = [f"{case.scene}/{case.case}:\n{case.kit_error}" for case in report.kit_errors[:3]]
    return "\n".join(("a fault of the kit, not of the adapter", *told))


def failures_text(report: SuiteReport) -> str:
    """Return the blocks of all checks that failed."""
    return "\n\n".join(describe(check, report) for check in report.having(*FAILURES))


def describe(check: CheckReport, report: SuiteReport) -> str:
    """Return the block of one check: its failure, or why it did not run. No canary is in it."""
    return mask_for(report.seed)(failure_text(check, specs.load(), report.subject))


def _ids(only: Iterable[str]) -> Iterable[str]:
    return only.split(",") if isinstance(only, str) else only


def _check(check_id: str) -> Check:
    if check_id not in CHECKS:
        raise ValueError(unknown("check", check_id, CHECKS))
    return CHECKS[check_id]


def mask_for(seed: int, secrets: Collection[str] = ()) -> Callable[[str], str]:
    """Return a function that takes out every canary that a run with this seed may have used, and these secrets."""
    used, known = [Canaries(seed + extra) for extra in range(MOST_SEEDS)], written(secrets)

    def mask(text: str) -> str:
        for form in known:
            text = text.replace(form, "[redacted:setting]")
        for canaries in used:
            text = canaries.mask(text)
        return text

    return mask
