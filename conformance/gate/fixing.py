"""What the gate may write: the lock, as far as the documents let it, and the pins of checks; nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.loading import unknown
from specs.__main__ import update

from . import kit, pins
from .base import BaseError
from .gathering import is_of_kit

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .facts import Pin, Project
    from .gathering import Sources


def fix_lock(documents: Path) -> None:
    """Bring the lock up to date, unless it may not follow the documents."""
    update(documents)


def fix_pins(sources: Sources, project: Project, confirmed: Collection[str]) -> Project:
    """Pin new checks, confirm the named ones, drop what is for nothing; return the project with its pins as they are.

    A file with a line that cannot be read is left alone: what stood there would be lost.
    """
    _expect_known(sources, project, confirmed)
    if not is_of_kit(sources.documents) or any(each.code_id == "SPEC120" for each in project.troubles):
        return project
    path = kit.pins_file(sources.root)
    now = pins.settled(project.pins, project.checks, project.spec, confirmed)
    pins.write(path, now)
    _tell(project, now, confirmed)
    return replace(project, pins=pins.read(path)[0])


def _expect_known(sources: Sources, project: Project, confirmed: Collection[str]) -> None:
    known = [check.id for check in project.checks]
    if confirmed and not is_of_kit(sources.documents):
        raise BaseError("--pin: only the kit's own checks are pinned, and these are the documents of another project")
    for id in sorted(set(confirmed) - {*known}):
        raise BaseError(f"--pin: {unknown('check', id, known)}")


def _tell(project: Project, now: Collection[Pin], confirmed: Collection[str]) -> None:
    before = {(pin.check, pin.requirement): pin.revision for pin in project.pins}
    own = [pin for pin in now if pin.check in confirmed]
    moved = [pin for pin in own if before.get((pin.check, pin.requirement)) != pin.revision]
    for pin in moved:
        statement = project.spec.requirement(pin.requirement).statement
        sys.stderr.write(f"{pin.check} is pinned to {pin.requirement} r{pin.revision} now: {statement}\n")
    for id in sorted(set(confirmed) - {pin.check for pin in moved}):
        sys.stderr.write(f"{id} was pinned to what the documents say already\n")
