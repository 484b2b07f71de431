"""The blocks of the pages on checks, from the catalogues of the kit, the documents they hold to, and the zoo.

What a check does not apply to is read from the kept reports of the shipped adapters; nothing is run for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from typing import TYPE_CHECKING

import specs
from conformance.catalogue import CHECKS
from conformance.check import Group, Level
from conformance.means import MEANS
from conformance.mutants import MUTANTS
from conformance.reporting.shipped import read_shipped
from conformance.selection import PROFILES, profiles_of
from conformance.service.broken import BROKEN
from conformance.service.catalogue import PROFILES as SERVICE_PROFILES
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.check import Group as ServiceGroup
from conformance.service.check import ServiceCheck

from .markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from enum import StrEnum

    from conformance.check import Check


def part(name: str, *words: str) -> str:
    """Return one of the parts; KeyError if there is none of this name."""
    parts = {
        "groups": groups,
        "profiles": profiles,
        "means": means,
        "of": of_group,
        "service-groups": service_groups,
        "service-of": of_service_group,
    }
    return parts[name](*words)


def groups() -> str:
    """Return the groups of checks for adapters, with counts."""
    return _groups(Group, CHECKS.values())


def service_groups() -> str:
    """Return the groups of checks for services, with counts."""
    return _groups(ServiceGroup, SERVICE_CHECKS.values())


def profiles() -> str:
    """Return the profiles and the groups in them."""
    rows = ((code(name), ", ".join(group for group in Group if group in within)) for name, within in PROFILES.items())
    return table(["profile", "groups"], rows)


def means() -> str:
    """Return what a subject may say that it lacks."""
    return table(["in `limits`", "what a check needs then"], ((code(name), what) for name, what in MEANS.items()))


def of_group(*words: str) -> str:
    """Return all checks of the group of this name, each in full."""
    group = Group(" ".join(words))
    return _listed([check for check in CHECKS.values() if check.group is group])


def of_service_group(*words: str) -> str:
    """Return all checks of the group of services of this name, each in full."""
    group = ServiceGroup(" ".join(words))
    return _listed([check for check in SERVICE_CHECKS.values() if check.group is group])


def _groups(every: Iterable[StrEnum], checks: Iterable[Check]) -> str:
    counts = Counter((check.group, check.level) for check in checks)
    rows = [
        (f"[{group}](#{_anchor(group)})", *(str(counts[group, level] or "") for level in Level))
        for group in every
        if any(counts[group, level] for level in Level)
    ]
    totals = [str(sum(count for (_, level), count in counts.items() if level is each) or "") for each in Level]
    return table(["group", *Level], [*rows, ("all", *totals)])


def _listed(checks: Sequence[Check]) -> str:
    """Return a table of the checks, and below it a section for each."""
    if not checks:
        return "*No check yet.*"
    rows = ((f"[{check.id}](#{check.id.lower()})", check.level, check.title) for check in checks)
    return "\n\n".join([table(["check", "level", "rule"], rows), *map(_section, checks)])


def _section(check: Check) -> str:
    lines = [f"### {check.id}", "", f"**{check.title}** ({check.level}; profiles: {', '.join(_profiles(check))})"]
    for requirement in check.requirements:
        lines += ["", *_requirement(requirement)]
    lines += _bullets("How it is tried", _ways(check))
    lines += _bullets("Usual causes", check.causes)
    lines += _bullets("Has to catch", _caught(check))
    lines += _bullets("Not applicable", _reasons().get(check.id, ()))
    return "\n".join(lines)


def _profiles(check: Check) -> list[str]:
    if isinstance(check, ServiceCheck):
        return [name for name, within in SERVICE_PROFILES.items() if check.group in within]
    return profiles_of(check)


def _requirement(requirement_id: str) -> Iterator[str]:
    found = specs.load().requirement(requirement_id)
    yield f"> [{requirement_id}](../../{found.document}) ({found.level}): {found.statement}"


def _ways(check: Check) -> list[str]:
    if isinstance(check, ServiceCheck):
        return [(check.play.__doc__ or "").partition("\n")[0]]
    return [f"{code(scene.name)}: {scene.how}" for scene in check.scenes]


def _caught(check: Check) -> list[str]:
    if isinstance(check, ServiceCheck):
        animals = [animal for animal, check_id in BROKEN.items() if check_id == check.id]
        return [f"{code(animal.__name__)}: {(animal.__doc__ or '').partition(chr(10))[0]}" for animal in animals]
    return [f"{code(mutant.name)}: {mutant.fault}" for mutant in MUTANTS if mutant.killed_by == check.id]


@cache
def _reasons() -> Mapping[str, Sequence[str]]:
    """Return check id -> to which shipped adapters it does not apply and why, in the words of their reports."""
    whom: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for record in read_shipped().records:
        for check in record.checks:
            if check.outcome == "not-applicable":
                whom[check.id, check.reason].append(record.subject)
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for (check_id, reason), subjects in whom.items():
        reasons[check_id].append(f"{', '.join(subjects)}: {reason}")
    return reasons


def _bullets(head: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{head}:", "", *(f"* {line}" for line in lines)] if lines else []


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
