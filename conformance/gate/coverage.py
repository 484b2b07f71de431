"""How much of the specification is proved: a row for each profile, and what a proposed change adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from specs import locked

from .proofs import BINDING, Proofs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from specs import Requirement

    from .facts import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The binding requirements of a profile: how many have which proof.

    `executed` and `backed` are those of which a check was executed, and catches a broken adapter; `unproved` are those
    with no proof and no excuse.
    """

    profile: str
    proof: str
    binding: int
    checked: int
    executed: int
    backed: int
    tested: int
    excluded: int
    unproved: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """A requirement that says something else than before."""

    id: str
    before: int
    now: int
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a proposed change does to requirements.

    `added` bind now and did not before; some are unproved, some excluded. `loosened` are still there and bind no more.
    `tables` are the names of those that say something else.
    """

    added: Sequence[str]
    added_unproved: Sequence[str]
    added_excluded: Sequence[str]
    revised: Sequence[Revised]
    loosened: Sequence[str]
    removed: Sequence[str]
    tables: Sequence[str]


def coverage(project: Project) -> list[Row]:
    """Return a row for each profile in the order of the document, and one for documents without a profile."""
    proofs = Proofs(project)
    rows = [_row(proofs, each.name, each.proof) for each in project.spec.profiles]
    loose = _row(proofs, "", "")
    return [*rows, loose] if loose.binding else rows


def change(project: Project) -> Change | None:
    """Return what changed since the base; None without a base."""
    if project.base is None:
        return None
    proofs, before, now = Proofs(project), project.base.by_id(), project.spec.requirements
    bound = {id for id, each in before.items() if each.level in BINDING}
    added = [each for each in proofs.binding if each.id not in bound]
    return Change(
        added=[each.id for each in added],
        added_unproved=[each.id for each in added if _is_open(proofs, each)],
        added_excluded=[each.id for each in added if _is_excused(proofs, each)],
        revised=[
            Revised(id=id, before=each.revision, now=now[id].revision, old=each.text, new=now[id].statement)
            for id, each in before.items()
            if id in now and now[id].revision != each.revision
        ],
        loosened=sorted(id for id in bound & now.keys() if now[id].level not in BINDING),
        removed=sorted(before.keys() - now.keys()),
        tables=_tables(project.base.by_name(), locked(project.spec).by_name()),
    )


def _tables(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the tables that say something else; none if the base knew of no tables."""
    return sorted(name for name in before.keys() | now.keys() if before and before.get(name) != now.get(name))


def _row(proofs: Proofs, name: str, proof: str) -> Row:
    own = [each for each in proofs.binding if _profile(proofs, each) == name]
    checked = [each for each in own if proofs.checks(each)]
    return Row(
        profile=name or "(none)",
        proof=proof,
        binding=len(own),
        checked=len(checked),
        executed=sum(any(map(proofs.is_executed, proofs.checks(each))) for each in checked),
        backed=sum(any(map(proofs.is_backed, proofs.checks(each))) for each in checked),
        tested=sum(bool(proofs.tests(each)) for each in own),
        excluded=sum(_is_excused(proofs, each) for each in own),
        unproved=sum(_is_open(proofs, each) for each in own),
    )


def _is_open(proofs: Proofs, requirement: Requirement) -> bool:
    """Whether a binding requirement has neither proof nor excuse."""
    excused = proofs.is_excluded(requirement.id, "test") and not proofs.asks_for_check(requirement)
    return requirement.level in BINDING and not proofs.is_proved(requirement) and not excused


def _is_excused(proofs: Proofs, requirement: Requirement) -> bool:
    """Whether a binding requirement has no proof and an excuse."""
    return not proofs.is_proved(requirement) and not _is_open(proofs, requirement)


def _profile(proofs: Proofs, requirement: Requirement) -> str:
    profile = proofs.project.spec.profile_of(requirement)
    return profile.name if profile is not None else ""
