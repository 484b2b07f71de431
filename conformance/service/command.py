"""`conformance service --url http://...`: hold a running service to the contract, as any client meets it.

It takes real time and sends real tasks; what it starts it cancels, also when it is interrupted. The token is read from
the environment, so that it stands in no command line.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import trio
from rich.console import Console

import specs
from conformance.baseline import read_baseline, today, with_baseline
from conformance.check import Level
from conformance.outcome import Exit
from conformance.report import Bar, Report
from conformance.reporting.command import deliver

from .arguments import INTERRUPTED, ServiceArguments, add_service, repeated
from .catalogue import PROFILES, SERVICE_CHECKS
from .masking import mask_for
from .report import under_test
from .runner import run_service
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from specs import Specification

    from .check import ServiceCheck
    from .runner import ServiceReport

__all__ = ["ServiceArguments", "add_service", "run"]


def run(given: ServiceArguments) -> int:
    """Check the service; return the exit code."""
    spec = specs.load()
    try:
        target, checks = _target(given), _selected(given)
        known = read_baseline(given.baseline) if given.baseline is not None else ()
    except ValueError as wrong:
        sys.stderr.write(f"conformance service: {wrong}\n")
        return Exit.USAGE
    console = Console(file=sys.stdout, highlight=False)
    printed, bar, began_s = Report(console, mask_for(target)), Bar(console), time.perf_counter()
    printed.opening(f"service {target.name}", checks, spec, "in real time")
    report = trio.run(_until_interrupted, target, checks, spec, bar)
    bar.stop()
    if report is None:
        sys.stderr.write("conformance service: interrupted; the tasks that it had started are cancelled\n")
        return INTERRUPTED
    if report.unreachable:
        printed.say(f"no verdict on {target.name}: {report.unreachable}", "bold yellow")
        return Exit.TOO_LITTLE_RAN
    suite = with_baseline(report.suite, known, today(), {"*"})
    printed.finish(suite, spec, time.perf_counter() - began_s, is_verbose=given.verbose, about=under_test(target))
    return deliver(suite, spec, given.report, secrets=target.secrets, about=under_test(target))


async def _until_interrupted(
    target: Target, checks: Sequence[ServiceCheck], spec: Specification, bar: Bar
) -> ServiceReport | None:
    """Return the report, or None if the run was interrupted; a second interrupt does not wait for tidying up."""
    played: list[ServiceCheck] = []

    def heard(check: ServiceCheck) -> None:
        bar.show(f"{check.id} {check.title}"[:60], len(played))
        played.append(check)

    report: ServiceReport | None = None
    bar.start(len(checks))
    async with trio.open_nursery() as nursery:
        await nursery.start(_cancel_on_interrupt, nursery.cancel_scope)
        report = await run_service(target, checks, spec, heard)
        nursery.cancel_scope.cancel()
    return report


async def _cancel_on_interrupt(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return


def _target(given: ServiceArguments) -> Target:
    """Return what is put to the test; raise `ValueError` if it cannot be."""
    address, token = given.url, os.environ.get(given.token_env, "") if given.token_env else ""
    if given.token_env and not token:
        raise ValueError(f"the environment has no {given.token_env}")
    if not token.isascii() or not token.isprintable():
        raise ValueError(f"{given.token_env} has characters that no header can carry")
    return Target(
        dial=address.dial,
        authority=address.authority,
        name=f"{'https' if address.is_tls else 'http'}://{address.authority}{address.prefix}",
        prefix=address.prefix,
        token=token,
        options=repeated(given),
        engine=given.engine,
        model=given.model,
        max_tokens=given.max_tokens,
        fill=given.fill,
        patience_s=given.patience,
        resume_window_ms=given.resume_window_ms,
        runs_on=given.runs_on,
        auth_optional=given.auth_optional,
    )


def _selected(given: ServiceArguments) -> list[ServiceCheck]:
    """Return the checks that were asked for; raise `ValueError` if none is left."""
    groups, wanted = PROFILES[given.profile], given.only or list(SERVICE_CHECKS.values())
    chosen = [each for each in wanted if each.group in groups and (given.level == "should" or each.level is Level.MUST)]
    if not chosen:
        raise ValueError(f"nothing of --only is in the profile {given.profile} at level {given.level}")
    return chosen
