"""`conformance run`: hold an adapter to checks, print how it came out, and write the reports that are asked for."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import specs
from conformance.api import mask_for
from conformance.baseline import read_baseline, today, with_baseline
from conformance.beginning import where_to_begin
from conformance.catalogue import CHECKS
from conformance.loading import find_subject, own_names, unknown
from conformance.outcome import Exit
from conformance.rehearsal import rehearse
from conformance.report import Report
from conformance.reporting.command import add_report, deliver
from conformance.runner import run_checks
from conformance.running_engine import running_engine
from conformance.selection import PROFILES, in_profile, plays_of, select

from .kinds import ADAPTER_HELP, choice_of_checks, seed, setting, some
from .output import console

if TYPE_CHECKING:
    from conformance.check import Check
    from conformance.selection import Selection
    from conformance.subject import Subject


class RunArguments(argparse.Namespace):
    """What was given."""

    adapter: str
    engine_url: str | None
    setting: list[tuple[str, str]]
    only: list[tuple[Check, str | None]]
    profile: str
    level: str
    seed: int
    seeds: int
    once: bool
    baseline: Path | None
    report: Path | None
    verbose: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `run` can be told."""
    parser.add_argument("--adapter", required=True, metavar="NAME", help=ADAPTER_HELP)
    running = parser.add_argument_group(
        "on a running engine", "In real time, with nothing induced: what needs that is not applicable."
    )
    running.add_argument("--engine-url", metavar="URL", help="its address; --adapter names an engine or MODULE:FACTORY")
    running.add_argument(
        "--setting",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="more that the adapter is told",
    )
    parser.add_argument(
        "--only",
        type=choice_of_checks,
        default=[],
        metavar="ID[:SCENE/CASE],…",
        help="these checks (CAN-01), families of them (CAN), or single cases (CAN-01:SCENE/CASE)",
    )
    parser.add_argument(
        "--profile", choices=PROFILES, default="full", metavar="NAME", help=f"one of: {', '.join(PROFILES)} (default)"
    )
    parser.add_argument(
        "--level", choices=("must", "should"), default="should", help="must: leave out what does not bind"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="schedules and canaries (default 0)")
    parser.add_argument(
        "--seeds", type=some, default=1, metavar="N", help="schedules of each case, at least (default 1; races have 8)"
    )
    parser.add_argument("--once", action="store_true", help="do not play each case again to see whether it is the same")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="failures that are known, with reason and date")
    add_report(parser)
    parser.add_argument("--verbose", action="store_true", help="a line for each check")


def run(given: RunArguments) -> int:
    """Run checks against an adapter."""
    spec, every = specs.load(), list(CHECKS.values())
    try:
        subject = _subject(given)
        known = read_baseline(given.baseline) if given.baseline is not None else ()
        selection = _selection(given, subject, spec)
    except ValueError as wrong:
        sys.stderr.write(f"conformance run: {wrong}\n")
        return Exit.USAGE
    report = Report(console(), mask_for(given.seed, _secrets(given)))
    began_s = time.perf_counter()
    cases = sum(
        plays_of(case, subject, given.seeds)
        for scene in selection.plays
        for case in selection.cases(scene, subject, spec)
    )
    report.begin(subject.name, selection.checks, spec, given.seed, cases)
    if given.engine_url is not None:
        report.say("  on a running engine, in real time: some seconds for each case", "dim")
    result = run_checks(
        subject, selection, spec, every=every, seed=given.seed, twice=not given.once, heard=report.heard
    )
    result = with_baseline(result, known, today(), own_names(subject))
    report.finish(result, spec, time.perf_counter() - began_s, is_verbose=given.verbose)
    if (begin := where_to_begin(result)) is not None:
        report.say(begin, "bold")
    return deliver(result, spec, given.report, secrets=_secrets(given))


def _secrets(given: RunArguments) -> list[str]:
    """Return the credentials that a running engine is reached with: the key, and passwords in addresses."""
    passwords = (urlsplit(text).password for text in (given.engine_url or "", *dict(given.setting).values()))
    keys = (value for name, value in given.setting if name == "api_key")
    return [*filter(None, passwords), *keys]


def _subject(given: RunArguments) -> Subject:
    """Return what is put to the test; raise `ValueError` if it cannot be."""
    if given.engine_url is None:
        if given.setting:
            raise ValueError("--setting goes with --engine-url: a subject says itself what its adapter is told")
        subject = find_subject(given.adapter)
        rehearse(subject)
        return subject
    engine = running_engine(given.adapter, {"url": given.engine_url, **dict(given.setting)})
    engine.expect_ready()
    return engine


def _selection(given: RunArguments, subject: Subject, spec: specs.Specification) -> Selection:
    """Return what was asked for; raise `ValueError` if there is no such case, or nothing is left."""
    for check, address in given.only:
        known = [f"{scene.name}/{each.name}" for scene in check.scenes for each in scene.cases(subject, spec)]
        if address is not None and address not in known:
            raise ValueError(unknown(f"case of {check.id}", address, known))
    wanted = given.only or [(check, None) for check in CHECKS.values()]
    within = in_profile((check for check, _ in wanted), given.profile, binding_only=given.level == "must")
    if not within:
        raise ValueError(f"nothing of --only is in the profile {given.profile} at level {given.level}")
    chosen = select((check, address) for check, address in wanted if check in within)
    return replace(chosen, schedules=given.seeds)
