"""The kit's own checks and broken adapters as facts, and evidence made by running them here and now.

The adapters are found by name through the subjects of the kit. One is played in full; the others only what it could not
be held to, so that evidence takes seconds. What the kit has for services is in `service_kit.py`, and counts alike.
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

from . import service_kit
from .evidence import join
from .facts import CheckFact, Evidence, MutantFact, Run
from .finding import Place
from .source import check_places, seen_from, source_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.check import Check

ADAPTERS = tuple(SUBJECTS)
FIRST = "mock"
_CATALOGUE = Place("conformance/catalogue.py")
_PINS = Path(inspect.getfile(specs)).parent.parent / "conformance" / "pins.toml"
_CHECKS = Path(inspect.getfile(specs)).parent.parent / "conformance" / "checks"


def checks(root: Path) -> list[CheckFact]:
    """Return every check of both catalogues: of adapters and of services."""
    places = check_places(_CHECKS)
    of_adapters = [
        CheckFact(
            id=check.id,
            requirements=check.requirements,
            level=check.level,
            place=seen_from(root, places.get(check.id, _CATALOGUE)),
        )
        for check in CHECKS.values()
    ]
    return [*of_adapters, *service_kit.checks(root)]


def pins_file(root: Path) -> Path:
    """Return the file in which the kit's checks are pinned to revisions."""
    return Path(seen_from(root, Place(str(_PINS))).file)


def mutants(root: Path) -> list[MutantFact]:
    """Return every broken adapter of the zoo and every broken service."""
    adapters = [
        MutantFact(name=each.name, killed_by=each.killed_by, place=seen_from(root, _place(each.animal)))
        for each in MUTANTS
    ]
    return [*adapters, *service_kit.mutants(root)]


def play(adapters: Sequence[str] = ADAPTERS) -> Evidence:
    """Run every check against the first adapter, and against each other one what nobody was held to before.

    The checks of services are run against the reference service, whatever adapters are asked for.
    """
    played: dict[str, dict[str, Run]] = {}
    for name in sorted(adapters, key=lambda name: name != FIRST):
        done = {id for runs in played.values() for id, run in runs.items() if run.cases}
        left = [check for check in CHECKS.values() if check.id not in done]
        if left:
            played[name] = _run(name, left)
    return join(Evidence(checks=played), service_kit.play())


def hunt_all() -> dict[str, tuple[str, ...]]:
    """Run the check that has to catch each broken adapter or service; return which did. Longer than all the rest."""
    kills = [hunt(mutant) for mutant in MUTANTS]
    adapters = {kill.mutant.name: (kill.mutant.killed_by,) if kill.is_right else () for kill in kills}
    return adapters | service_kit.hunt_all()


def _run(adapter: str, left: Sequence[Check]) -> dict[str, Run]:
    report = run_checks(SUBJECTS[adapter], select_whole(left), specs.load(), every=list(CHECKS.values()))
    return {each.check.id: Run(each.outcome, each.executed) for each in report.checks}


def _place(animal: object) -> Place:
    is_source = inspect.isclass(animal) or inspect.isfunction(animal)
    return source_place(animal) if is_source else _CATALOGUE
