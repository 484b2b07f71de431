"""`conformance run`: hold an adapter to checks, print how it came out, and write the reports that are asked for."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

import specs
from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.loading import unknown
from conformance.outcome import Exit
from conformance.report import Report
from conformance.runner import run_checks
from conformance.selection import select, select_whole

from .kinds import ADAPTER_HELP, choice_of_checks, seed, subject_named

if TYPE_CHECKING:
    from conformance.check import Check
    from conformance.subject import Subject


class RunArguments(argparse.Namespace):
    """What was given."""

    adapter: Subject
    only: list[tuple[Check, str | None]]
    seed: int
    verbose: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `run` can be told."""
    parser.add_argument("--adapter", type=subject_named, required=True, metavar="NAME", help=ADAPTER_HELP)
    parser.add_argument(
        "--only",
        type=choice_of_checks,
        default=[],
        metavar="ID[:SCENE/CASE],…",
        help="these checks, or single cases of them",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="schedules and canaries (default 0)")
    parser.add_argument("--verbose", action="store_true", help="a line for each check")


def run(given: RunArguments) -> int:
    """Run checks against an adapter."""
    subject, spec, every = given.adapter, specs.load(), list(CHECKS.values())
    wrong = _wrong_case(given, subject, spec)
    if wrong is not None:
        sys.stderr.write(f"conformance run: {wrong}\n")
        return Exit.USAGE
    selection = select(given.only) if given.only else select_whole(every)
    report = Report(_console(), mask_for(given.seed))
    began_s = time.perf_counter()
    cases = sum(case.seeds for scene in selection.plays for case in selection.cases(scene, subject, spec))
    report.begin(subject.name, selection.checks, spec, given.seed, cases)
    result = run_checks(subject, selection, spec, every=every, seed=given.seed, heard=report.heard)
    report.finish(result, spec, time.perf_counter() - began_s, is_verbose=given.verbose)
    return result.exit_code


def _console() -> Console:
    """Return a console on the true standard output: while a case plays, `sys.stdout` is the case's."""
    return Console(file=sys.stdout, highlight=False)


def _wrong_case(given: RunArguments, subject: Subject, spec: specs.Specification) -> str | None:
    """Return what is wrong about the cases that were asked for, if anything is."""
    for check, address in given.only:
        known = [f"{scene.name}/{each.name}" for scene in check.scenes for each in scene.cases(subject, spec)]
        if address is not None and address not in known:
            return unknown(f"case of {check.id}", address, known)
    return None
