"""What may not happen between a lock and the documents: a statement changed in silence, an id used for something else.

A lock may always be brought up to date, unless one of these is found: then the document is wrong and not the lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ._lock import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._lock import Lock, Locked
    from ._model import Requirement, Specification


class DriftKind(StrEnum):
    """How a document has left its lock."""

    TEXT = "text"
    LEVEL = "level"
    BACK = "back"
    REUSED = "reused"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class Drift:
    """One requirement that has left its lock, where it stands now, and how."""

    kind: DriftKind
    id: str
    file: str
    line: int
    message: str


def drift(lock: Lock, spec: Specification) -> list[Drift]:
    """Return every way in which the documents have left the lock, in the order of the documents."""
    agreed, dead = lock.by_id(), lock.tombstones()
    found = list(_edited(lock, spec))
    edited = {each.id for each in found}
    for requirement in spec.requirements.values():
        if requirement.id in dead:
            message = f"{requirement.id} is used again; it was taken out at revision {dead[requirement.id].revision}"
            found.append(_drift(DriftKind.REUSED, requirement, message))
        elif requirement.id in agreed and requirement.id not in edited:
            found.extend(_changed(agreed[requirement.id], requirement))
    return found


def _changed(before: Locked, now: Requirement) -> Iterator[Drift]:
    if now.revision < before.revision:
        message = f"{now.id} went back from r{before.revision} to r{now.revision}"
        yield _drift(DriftKind.BACK, now, message)
    elif now.revision > before.revision:
        return
    elif now.level != before.level:
        message = f"{now.id} says {now.level} and said {before.level}, both as r{now.revision}"
        yield _drift(DriftKind.LEVEL, now, message)
    elif normal(now.statement) != before.text:
        message = f"{now.id} reads differently from what was agreed on as r{now.revision}: {before.text!r}"
        yield _drift(DriftKind.TEXT, now, message)


def _edited(lock: Lock, spec: Specification) -> Iterator[Drift]:
    for each in lock.requirements:
        if not each.is_intact:
            requirement = spec.requirements.get(each.id)
            file, line = (requirement.document, requirement.line) if requirement is not None else (each.place, 1)
            yield Drift(DriftKind.EDITED, each.id, file, line, f"the lock's text of {each.id} is not what it hashed")


def _drift(kind: DriftKind, requirement: Requirement, message: str) -> Drift:
    return Drift(kind, requirement.id, requirement.document, requirement.line, message)
