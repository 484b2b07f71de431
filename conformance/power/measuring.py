"""Measures of a mutant beyond its own check: every check, single schedules, and two faults at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from random import Random
from typing import TYPE_CHECKING, cast

import specs
from conformance.catalogue import CHECKS
from conformance.mutants import MUTANTS, blamed, hunt, subject_of
from conformance.outcome import Exit, Outcome
from conformance.runner import run_checks
from conformance.selection import select_whole
from conformance.zoo import blind_faults
from conformance.zoo.subject import BASES, ZooSubject
from conformance.zoo.wrapper import Stream, Wrapper

from .matrix import Odd, Row, Seeds
from .schedules import FewSchedules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.check import Check
    from conformance.mutants import Kill
    from conformance.outcome import CheckReport
    from conformance.subject import Subject
    from conformance.zoo.animals import Mutant, Reference

_BLIND = frozenset(blind_faults.MUTANTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be measured of each mutant: every check with `is_whole`, and so many `seeds` one by one."""

    is_whole: bool = False
    seeds: int = 0


def measure(mutant: Mutant, wish: Wish) -> tuple[Kill, Row]:
    """Hunt a mutant and return what became of it."""
    kill = hunt(mutant)
    caught = {*kill.caught_by, *(caught_at_once(mutant) if wish.is_whole else ())}
    row = Row(
        name=mutant.name,
        fault=mutant.fault,
        base=mutant.base,
        killed_by=mutant.killed_by,
        caught_by=tuple(check_id for check_id in CHECKS if check_id in caught),
        is_right=kill.is_right,
        seeds=luck(mutant, wish.seeds) if wish.seeds else None,
        is_blind=mutant in _BLIND,
    )
    return kill, row


def acquit(reference: Reference) -> tuple[Sequence[CheckReport], Exit, Odd]:
    """Try an odd adapter and return what became of it."""
    blaming, code = blamed(reference)
    odd = Odd(
        name=reference.name,
        oddity=reference.oddity,
        base=reference.base,
        warns=tuple(sorted(reference.warns)),
        blamed_by=tuple(each.check.id for each in blaming),
        is_conforming=code is Exit.CONFORMING,
    )
    return blaming, code, odd


def caught_at_once(mutant: Mutant) -> list[str]:
    """Return the checks that catch a mutant when each of their cases is played once."""
    subject = subject_of(mutant)
    return _catching(subject, list(CHECKS.values()), seed=0, stop_early=False)


def luck(mutant: Mutant, seeds: int) -> Seeds:
    """Play the check that has to catch a mutant under so many schedules, one by one."""
    checks = checks_for(mutant)
    subject = subject_of(mutant)
    caught = [mutant.killed_by in _catching(subject, checks, seed=seed, stop_early=True) for seed in range(seeds)]
    played = min(_most_schedules(checks, subject), seeds)
    windows = [sum(caught[start : start + played]) for start in range(seeds - played + 1)]
    return Seeds(caught=sum(caught), of=seeds, played=played, fewest=min(windows))


def checks_for(mutant: Mutant) -> list[Check]:
    """Return the checks that are played to catch a mutant."""
    return [CHECKS[mutant.under or mutant.killed_by], CHECKS[mutant.killed_by]]


def sampled_pairs(count: int, seed: int) -> list[tuple[Mutant, Mutant]]:
    """Return pairs of mutants that can be put around one another, another sample for another seed."""
    around = [mutant for mutant in MUTANTS if issubclass(mutant.animal, Stream | Wrapper)]
    pairs = [(one, other) for one, other in combinations(around, 2) if one.base == other.base]
    return Random(seed).sample(pairs, min(count, len(pairs)))


def caught_pair(one: Mutant, other: Mutant) -> list[str]:
    """Return the checks, of those that have to catch the two, that catch one mutant around the other."""
    inner = ZooSubject(one.name, BASES[one.base], _around(one))
    subject = ZooSubject(f"{one.name}+{other.name}", inner, _around(other))
    wanted = {one.killed_by, other.killed_by}
    checks = list(dict.fromkeys((*checks_for(one), *checks_for(other))))
    caught = _catching(subject, checks, seed=0, stop_early=False, once=False)
    return [check_id for check_id in caught if check_id in wanted]


def _around(mutant: Mutant) -> type[Stream | Wrapper]:
    if not issubclass(mutant.animal, Stream | Wrapper):
        raise TypeError(f"{mutant.name} cannot be put around another")
    return cast("type[Stream | Wrapper]", mutant.animal)


def _catching(subject: Subject, checks: list[Check], *, seed: int, stop_early: bool, once: bool = True) -> list[str]:
    selection = select_whole(checks)
    chosen = FewSchedules.of(selection) if once else selection
    every = list(CHECKS.values())
    result = run_checks(subject, chosen, specs.load(), every=every, seed=seed, stop_early=stop_early)
    return [each.check.id for each in result.having(Outcome.FAIL, Outcome.WARN)]


def _most_schedules(checks: list[Check], subject: Subject) -> int:
    spec = specs.load()
    return max(case.seeds for check in checks for scene in check.scenes for case in scene.cases(subject, spec))
