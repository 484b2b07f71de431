"""What is wrong between checks and the revisions that they are pinned to: a text that changed under a check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specs import Requirement

    from .facts import CheckFact, Pin, Project


def pins(project: Project) -> Iterator[Finding]:
    """Find checks that nobody has looked at since a requirement was revised, and pins that are for nothing."""
    known = {(pin.check, pin.requirement): pin for pin in project.pins}
    for check in project.checks:
        for id in dict.fromkeys(check.requirements):
            requirement = project.resolve(id)
            if requirement is not None:
                yield from _judged(project, check, requirement, known.get((check.id, id)))
    named = {(check.id, id) for check in project.checks for id in check.requirements}
    for pin in (known[pair] for pair in known.keys() - named):
        message = f"{pin.check} is pinned to {pin.requirement}, and names no such requirement or is not there"
        yield Finding("SPEC119", pin.place, pin.check, message)


def _judged(project: Project, check: CheckFact, requirement: Requirement, pin: Pin | None) -> Iterator[Finding]:
    if pin is None:
        message = f"{check.id} is pinned to no revision of {requirement.id}"
        yield Finding("SPEC117", check.place, check.id, message)
    elif pin.revision != requirement.revision and not _went_back(project, requirement):
        old, new = _old_text(project, requirement, pin.revision), f"r{requirement.revision} {requirement.statement!r}"
        message = f"{check.id} was held against {requirement.id} r{pin.revision} {old}, and it is {new} now"
        yield Finding("SPEC118", check.place, check.id, message)


def _went_back(project: Project, requirement: Requirement) -> bool:
    """Whether the revision is below the lock's, which is a finding of its own."""
    agreed = project.lock.by_id().get(requirement.id) if project.lock is not None else None
    return agreed is not None and agreed.revision > requirement.revision


def _old_text(project: Project, requirement: Requirement, revision: int) -> str:
    agreed = project.lock.by_id().get(requirement.id) if project.lock is not None else None
    text = agreed.text_at(revision) if agreed is not None else None
    return repr(text) if text is not None else "(the lock has no such text)"
