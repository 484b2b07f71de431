"""What is wrong with the documents as such, and between them and their lock."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from specs import LOCK, DriftKind, Fault, drift, lock_text, locked

from .finding import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specs import Lock, SpecError

    from .facts import Project

_FAULTS = {
    Fault.EMPTY: "SPEC001",
    Fault.HEAD: "SPEC002",
    Fault.KEYWORD: "SPEC003",
    Fault.HIDDEN: "SPEC004",
    Fault.FOREIGN: "SPEC005",
    Fault.ID_TWICE: "SPEC006",
    Fault.TABLE: "SPEC007",
    Fault.UNKNOWN_TABLE: "SPEC008",
    Fault.TWICE: "SPEC009",
    Fault.DANGLING: "SPEC020",
    Fault.ORDER: "SPEC021",
    Fault.SCHEMA: "SPEC022",
    Fault.EXAMPLE: "SPEC023",
    Fault.TEXT: "SPEC028",
    Fault.UNREAD: "SPEC029",
    Fault.UNSEEN: "SPEC030",
}
_DRIFTS = {
    DriftKind.TEXT: "SPEC010",
    DriftKind.LEVEL: "SPEC011",
    DriftKind.BACK: "SPEC012",
    DriftKind.REUSED: "SPEC013",
    DriftKind.EDITED: "SPEC014",
}


def unreadable(error: SpecError) -> list[Finding]:
    """Return the finding for each document that cannot be read."""
    return [
        Finding(_FAULTS[each.fault], Place(each.file, each.line), PurePath(each.file).name, each.message)
        for each in (error, *error.others)
    ]


def locks(project: Project) -> Iterator[Finding]:
    """Find what left the lock, and a lock that is behind."""
    place = Place(f"{project.folder}/{LOCK}")
    if project.lock is None:
        if not any(each.code_id == "SPEC017" for each in project.troubles):
            yield Finding("SPEC015", place, LOCK, "the documents have no lock")
        return
    left = list(_left(project, project.lock))
    yield from left
    if not left and project.lock_text != lock_text(locked(project.spec, project.lock)):
        yield Finding("SPEC016", place, LOCK, _behind(project, project.lock))


def since(project: Project) -> Iterator[Finding]:
    """Find what a proposed change does that its own lock does not show."""
    if project.base is None:
        return
    known = set() if project.lock is None else {(each.kind, each.id) for each in drift(project.lock, project.spec)}
    for each in drift(project.base, project.spec):
        if (each.kind, each.id) not in known and each.kind is not DriftKind.EDITED:
            yield Finding(_DRIFTS[each.kind], Place(each.file, each.line), each.id, f"{each.message} (at the base)")
    kept = {*project.spec.requirements, *(project.lock.tombstones() if project.lock is not None else ())}
    for id in sorted({*project.base.by_id(), *project.base.tombstones()} - kept):
        yield Finding("SPEC018", Place(f"{project.folder}/{LOCK}"), id, f"{id} was agreed on at the base and is gone")


def profiles(project: Project) -> Iterator[Finding]:
    """Find documents that no profile has, and profiles of documents that are not there."""
    first = {PurePath(each.document).name: each for each in project.spec.requirements.values()}
    for name, requirement in sorted(first.items()):
        if project.spec.profile_of(requirement) is None:
            yield Finding("SPEC026", Place(requirement.document), name, f"no profile has {name}")
    for profile in project.spec.profiles:
        for name in profile.documents:
            if name not in first:
                place = project.place_of("profiles", word=name)
                yield Finding("SPEC027", place, name, f"the profile {profile.name} names {name}, which is not there")


def _left(project: Project, lock: Lock) -> Iterator[Finding]:
    for each in drift(lock, project.spec):
        yield Finding(_DRIFTS[each.kind], Place(each.file, each.line), each.id, each.message)


def _behind(project: Project, lock: Lock) -> str:
    now, before = project.spec.requirements, lock.by_id()
    new, gone = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
    moved = [id for id in sorted(now.keys() & before.keys()) if now[id].revision != before[id].revision]
    tables, agreed = locked(project.spec).by_name(), lock.by_name()
    changed = sorted(name for name in tables.keys() | agreed.keys() if tables.get(name) != agreed.get(name))
    kinds = (("without", new), ("still with", gone), ("older in", moved), ("different in the tables", changed))
    parts = [f"{what} {_few(ids)}" for what, ids in kinds if ids]
    return f"the lock is {', '.join(parts) or 'laid out differently'}"


def _few(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
