"""Which checks are judged and which cases are played for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .check import Group, Level
from .subject import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from specs import Specification

    from .check import Case, Check, Scene
    from .subject import Subject

PROFILES: Mapping[str, frozenset[Group]] = {
    "core": frozenset({Group.LIFE, Group.ORDER, Group.SCHEMA, Group.ERRORS, Group.REPORTS, Group.OBSERVABILITY}),
    "stream": frozenset({Group.ORDER, Group.SCHEMA, Group.CONCURRENCY}),
    "cancel": frozenset({Group.CANCEL, Group.LEAKS}),
    "errors": frozenset({Group.ERRORS, Group.TIMEOUTS}),
    "redaction": frozenset({Group.REDACTION}),
    "determinism": frozenset({Group.DETERMINISM, Group.CONCURRENCY}),
    "full": frozenset(Group),
}
"""Name of a profile -> the groups of checks that are in it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The checks that are asked for; scene -> names of its cases to play, none meaning all of them.

    Each case is played under so many `schedules` at least; one in which things race asks for more by itself.
    """

    checks: tuple[Check, ...]
    plays: Mapping[Scene, frozenset[str]]
    schedules: int = 1

    def cases(self, scene: Scene, subject: Subject, spec: Specification) -> list[Case]:
        """Return the cases of a scene that are to be played."""
        names = self.plays[scene]
        return [case for case in scene.cases(subject, spec) if not names or case.name in names]


def select(wanted: Iterable[tuple[Check, str | None]]) -> Selection:
    """Select checks, each as a whole or as one case ("scene/case") of it. KeyError for a scene that is not its own."""
    plays: dict[Scene, frozenset[str]] = {}
    checks: dict[Check, None] = {}
    for check, address in wanted:
        checks[check] = None
        if address is None:
            plays |= dict.fromkeys(check.scenes, frozenset())
            continue
        scene_name, _, case_name = address.partition("/")
        scene = {scene.name: scene for scene in check.scenes}[scene_name]
        plays[scene] = plays.get(scene, frozenset()) | {case_name}
    return Selection(tuple(checks), plays)


def select_whole(checks: Iterable[Check]) -> Selection:
    """Select checks as a whole."""
    return select((check, None) for check in checks)


def plays_of(case: Case, subject: Subject, schedules: int = 1) -> int:
    """Return how often a case is played: under each of its schedules; on a running engine once, or not at all."""
    if SCRIPTS not in subject.limits:
        return max(case.seeds, schedules)
    return 0 if case.is_scripted else 1


def profiles_of(check: Check) -> list[str]:
    """Return the names of the profiles that a check is in."""
    return [name for name, groups in PROFILES.items() if check.group in groups]


def in_profile(checks: Iterable[Check], profile: str, *, binding_only: bool = False) -> list[Check]:
    """Return the checks of a profile; `binding_only` leaves out those of SHOULD rules."""
    groups = PROFILES[profile]
    return [each for each in checks if each.group in groups and (each.level is Level.MUST or not binding_only)]
