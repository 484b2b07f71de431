"""`conformance list` and `conformance explain`: which checks there are, and all that is known of one of them."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

import specs
from conformance.catalogue import CHECKS
from conformance.check import Group
from conformance.failure import statement
from conformance.listed import listing
from conformance.loading import unknown
from conformance.mutants import MUTANTS
from conformance.outcome import Exit
from conformance.selection import PROFILES, in_profile, profiles_of

from .kinds import ADAPTER_HELP, check_named, subject_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.check import Check
    from conformance.subject import Subject

_HINT = "conformance explain ID tells all about one of them"


class ListArguments(argparse.Namespace):
    """What `list` was given."""

    group: Group | None
    profile: str
    level: str
    format: str


class ExplainArguments(argparse.Namespace):
    """What `explain` was given."""

    check: Check
    adapter: Subject


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `list` can be told."""
    groups = ", ".join(Group)
    parser.add_argument(
        "--group", type=_group, metavar="NAME", help=f"checks of one group: {groups}; CAN will do for it"
    )
    parser.add_argument(
        "--profile", choices=PROFILES, default="full", metavar="NAME", help=f"one of: {', '.join(PROFILES)} (default)"
    )
    parser.add_argument("--level", choices=("must", "should"), default="should", help="must: those that bind only")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: for programs")


def add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `explain` can be told."""
    parser.add_argument("check", type=check_named, metavar="ID")
    parser.add_argument("--adapter", type=subject_named, default="mock", metavar="NAME", help=ADAPTER_HELP)


def list_checks(given: ListArguments) -> int:
    """Print the checks that were asked for."""
    within = in_profile(CHECKS.values(), given.profile, binding_only=given.level == "must")
    chosen = [check for check in within if given.group in {None, check.group}]
    if not chosen:
        sys.stderr.write(f"conformance list: no check of the group {given.group} is in the profile {given.profile}\n")
        return Exit.USAGE
    sys.stdout.write((as_json(chosen) if given.format == "json" else listing(chosen, _HINT)) + "\n")
    return Exit.CONFORMING


def explain(given: ExplainArguments) -> int:
    """Print what is known of one check."""
    sys.stdout.write("\n".join(explanation(given.check, given.adapter, specs.load())) + "\n")
    return Exit.CONFORMING


def as_json(checks: Iterable[Check]) -> str:
    """Return the checks for programs: one object for each."""
    told = [
        {
            "id": check.id,
            "level": check.level,
            "group": check.group,
            "profiles": profiles_of(check),
            "title": check.title,
            "requirements": check.requirements,
            "scenes": [scene.name for scene in check.scenes],
            "causes": check.causes,
        }
        for check in checks
    ]
    return json.dumps(told, indent=2, ensure_ascii=False)


def explanation(check: Check, subject: Subject, spec: specs.Specification) -> Iterator[str]:
    """Yield the lines of all that is known of a check; cases are counted for `subject`."""
    yield f"{check.id} ({check.level}, {check.group}) {check.title}"
    for requirement in check.requirements:
        yield ""
        yield from (f"  {line}" for line in statement(requirement, spec))
    scenes = [f"{scene.name} ({_cases(len(list(scene.cases(subject, spec))))}): {scene.how}" for scene in check.scenes]
    yield from _part("tried in", scenes)
    yield from _part("usual causes", check.causes)
    killed = [f"{mutant.name}: {mutant.fault}" for mutant in MUTANTS if mutant.killed_by == check.id]
    yield from _part("broken adapters it has to catch", killed)
    yield from _part("in the profiles", (", ".join(profiles_of(check)),))
    yield from _part("try it", (f"conformance run --adapter {subject.name} --only {check.id}",))


def _part(head: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", f"  {head}", *(f"    {line}" for line in lines))


def _cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"


def _group(name: str) -> Group:
    """Read a group by its name, or by the letters that its checks begin with."""
    for group in Group:
        families = {check.id.partition("-")[0] for check in CHECKS.values() if check.group is group}
        if name.lower() == group or name.upper() in families:
            return group
    raise argparse.ArgumentTypeError(unknown("group", name, Group))
