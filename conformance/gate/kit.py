"""The kit's own checks and broken adapters as facts, and evidence made by running them here and now.

The adapters are found by name through the subjects of the kit. One is played in full; the others only what it could not
be held to, so that evidence takes seconds.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import specs
from conformance.catalogue import CHECKS
from conformance.mutants import MUTANTS, hunt
from conformance.runner import run_checks
from conformance.selection import select_whole
from conformance.subjects import SUBJECTS

from .facts import CheckFact, Evidence, MutantFact, Run
from .finding import Place
from .source import check_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.check import Check

ADAPTERS = tuple(SUBJECTS)
FIRST = "mock"
_CHECKS = Path(inspect.getfile(specs)).parent.parent / "conformance" / "checks"


def checks(root: Path) -> list[CheckFact]:
    """Return every check of the catalogue."""
    places = check_places(_CHECKS)
    return [
        CheckFact(
            id=check.id,
            requirements=check.requirements,
            level=check.level,
            place=_seen_from(root, places.get(check.id)),
        )
        for check in CHECKS.values()
    ]


def mutants(root: Path) -> list[MutantFact]:
    """Return every broken adapter of the zoo."""
    return [
        MutantFact(name=each.name, killed_by=each.killed_by, place=_seen_from(root, _place(each.animal)))
        for each in MUTANTS
    ]


def play(adapters: Sequence[str] = ADAPTERS) -> Evidence:
    """Run every check against the first adapter, and against each other one what nobody was held to before."""
    played: dict[str, dict[str, Run]] = {}
    for name in sorted(adapters, key=lambda name: name != FIRST):
        done = {id for runs in played.values() for id, run in runs.items() if run.cases}
        left = [check for check in CHECKS.values() if check.id not in done]
        if left:
            played[name] = _run(name, left)
    return Evidence(checks=played)


def hunt_all() -> dict[str, tuple[str, ...]]:
    """Run the check that has to catch each broken adapter; return which did. Longer than all the rest."""
    kills = [hunt(mutant) for mutant in MUTANTS]
    return {kill.mutant.name: (kill.mutant.killed_by,) if kill.is_right else () for kill in kills}


def _run(adapter: str, left: Sequence[Check]) -> dict[str, Run]:
    report = run_checks(SUBJECTS[adapter], select_whole(left), specs.load(), every=list(CHECKS.values()))
    return {each.check.id: Run(each.outcome, each.executed) for each in report.checks}


def _place(animal: object) -> Place | None:
    if not inspect.isclass(animal) and not inspect.isfunction(animal):
        return None
    return Place(inspect.getfile(animal), inspect.getsourcelines(animal)[1])


def _seen_from(root: Path, place: Place | None) -> Place:
    """Call a file as it is called from the folder of the project, where it is below it."""
    if place is None:
        return Place("conformance/catalogue.py")
    path, top = Path(place.file).resolve(), root.resolve()
    return Place((root / path.relative_to(top)).as_posix(), place.line) if path.is_relative_to(top) else place
