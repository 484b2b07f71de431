"""`conformance soak`: play the same run many times over and see whether it ever comes out otherwise."""

from __future__ import annotations

import argparse
import sys
from statistics import median
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import specs
from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.loading import find_subject
from conformance.outcome import Exit
from conformance.selection import PROFILES, in_profile, select_whole
from conformance.soaking import Soaked, soak
from conformance.subject import SCRIPTS

from .kinds import ADAPTER_HELP, seed, some
from .output import console

if TYPE_CHECKING:
    from rich.console import Console

ABOUT = """\
Each run plays every case of the profile once, in this process. It has to be the first run again: all that happened in
each case, and the report to the byte. Exit code 1 if a run ever differs, else that of the run. What is interrupted
says how far it came."""

INTERRUPTED = 130
"""Exit code of a command that was interrupted, as shells have it."""


class SoakArguments(argparse.Namespace):
    """What was given."""

    adapter: str
    profile: str
    runs: int
    seed: int


def add_soak_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `soak` can be told."""
    parser.add_argument("--adapter", required=True, metavar="NAME", help=ADAPTER_HELP)
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="core",
        metavar="NAME",
        help=f"one of: {', '.join(PROFILES)}; core if not",
    )
    parser.add_argument("--runs", type=some, default=100, metavar="N", help="how often (default 100)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="schedules and canaries (default 0)")


def run_soak(given: SoakArguments) -> int:
    """Run again and again, say how it went."""
    try:
        subject = find_subject(given.adapter)
    except ValueError as wrong:
        sys.stderr.write(f"conformance soak: {wrong}\n")
        return Exit.USAGE
    if SCRIPTS in subject.limits:
        sys.stderr.write(f"conformance soak: {subject.limits[SCRIPTS]}, so no two runs of it are the same\n")
        return Exit.USAGE
    selection = select_whole(in_profile(CHECKS.values(), given.profile))
    out, so_far = console(), list[Soaked]()
    with _bar(out) as bar:
        task = bar.add_task(f"{subject.name}, {given.profile}", total=given.runs, differing=0)

        def heard(soaked: Soaked) -> None:
            so_far[:] = [soaked]
            bar.update(task, advance=1, differing=soaked.differing)

        try:
            soak(subject, selection, specs.load(), runs=given.runs, seed=given.seed, heard=heard)
        except KeyboardInterrupt:
            if not so_far:
                raise
    (soaked,) = so_far
    for line in _told(soaked, subject.name, given.profile):
        out.print(mask_for(given.seed)(line), markup=False, soft_wrap=True)
    return _exit(soaked)


def _bar(out: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[differing]} differ"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def _told(soaked: Soaked, name: str, profile: str) -> list[str]:
    cases = soaked.report.cases if soaked.report is not None else 0
    times = f"{median(soaked.times_s):.2f} s each, the slowest {max(soaked.times_s):.2f} s"
    done = len(soaked.times_s)
    runs = f"{done} runs" if done == soaked.runs else f"interrupted after {done} of {soaked.runs} runs"
    lines = [f"{runs} of {name}, profile {profile}: {cases} cases, {times}"]
    found = soaked.first_difference
    if found is None:
        return [*lines, "all of them the same, to the byte"]
    share = f"{soaked.differing} of {done - 1} runs were not the first one again"
    place = f"{share}; the first is run {found.run}, in {found.place}"
    return [*lines, place, f"  at first  {found.first}", f"  now       {found.now}"]


def _exit(soaked: Soaked) -> int:
    own = soaked.report.exit_code if soaked.report is not None else Exit.TOO_LITTLE_RAN
    if own is Exit.KIT_ERROR:
        return own
    if len(soaked.times_s) < soaked.runs:
        return INTERRUPTED
    return Exit.NOT_CONFORMING if soaked.differing else own
