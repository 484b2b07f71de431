"""What is wrong with proofs: requirements without one, checks without a requirement, checks that prove nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.check import Level
from conformance.outcome import FAILURES, Outcome
from specs import Level as Keyword

from .finding import Finding, Place
from .proofs import BINDING, Proofs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specs import Requirement

    from .facts import CheckFact, MutantFact, Project

_ADVICE = frozenset({Keyword.SHOULD, Keyword.SHOULD_NOT})


def requirements(project: Project) -> Iterator[Finding]:
    """Find binding requirements without a proof."""
    proofs = Proofs(project)
    for each in proofs.binding:
        if project.spec.profile_of(each) is None or proofs.is_proved(each):
            continue
        if proofs.asks_for_check(each):
            yield _about(each, "SPEC101", _without_check(proofs, each))
        elif not proofs.is_excluded(each.id, "test"):
            yield _about(each, "SPEC102", f"no test carries {each.id}: {each.statement}")


def advice(project: Project) -> Iterator[Finding]:
    """Compare the advice that nobody proves with the figure that was agreed on."""
    proofs, agreed = Proofs(project), project.spec.unproved_advice
    if not project.spec.profiles:
        return
    bare = [each for each in proofs.advice if not proofs.is_proved(each)]
    place = project.place_of("profiles", word="unproved_advice")
    if len(bare) > agreed:
        ids = ", ".join(each.id for each in bare)
        yield Finding("SPEC113", place, "unproved_advice", f"{len(bare)} without proof, {agreed} agreed on: {ids}")
    elif len(bare) < agreed:
        yield Finding("SPEC114", place, "unproved_advice", f"{len(bare)} without proof, {agreed} agreed on")


def checks(project: Project) -> Iterator[Finding]:
    """Find checks that name nothing, the wrong thing, or too much, and ids that two checks have."""
    seen: dict[str, CheckFact] = {}
    for check in project.checks:
        if check.id in seen:
            yield _check(check, "SPEC116", f"{check.id} is defined already, at {seen[check.id].place}")
        seen[check.id] = check
        if not check.requirements:
            yield _check(check, "SPEC104", f"{check.id} names no requirement")
        yield from _named(project, check)


def execution(project: Project) -> Iterator[Finding]:
    """Find binding checks that no adapter was held to, and checks that an adapter fails unexpectedly."""
    proofs = Proofs(project)
    expected = {(each.adapter, each.check) for each in project.baseline}
    for check in project.checks:
        executed = proofs.is_executed(check)
        if check.level is Level.MUST and not executed and not proofs.is_excluded(check.id, "execution"):
            yield _check(check, "SPEC103", f"{check.id} was executed against none of: {_adapters(project)}")
        for adapter, run in project.evidence.runs(check.id).items():
            failed = run.outcome in {*FAILURES, Outcome.KIT_ERROR}
            if failed and (adapter, check.id) not in expected:
                yield _check(check, "SPEC110", f"{adapter} fails {check.id}: {run.outcome}")


def animals(project: Project) -> Iterator[Finding]:
    """Find binding checks that no broken adapter proves, and broken adapters that prove nothing."""
    proofs, known = Proofs(project), {check.id for check in project.checks}
    kills = project.evidence.mutants
    for check in project.checks:
        if check.level is Level.MUST and not proofs.is_backed(check) and not proofs.is_excluded(check.id, "mutant"):
            yield _check(check, "SPEC107", f"no broken adapter is caught by {check.id}")
    names: dict[str, MutantFact] = {}
    for each in project.mutants:
        if names.setdefault(each.name, each) is not each:
            message = f"{each.name} is defined already, at {names[each.name].place}"
            yield Finding("SPEC122", each.place, each.name, message)
        if each.killed_by not in known:
            yield Finding("SPEC108", each.place, each.name, f"{each.name} is to be caught by {each.killed_by}")
        elif kills is not None and each.killed_by not in kills.get(each.name, ()):
            yield Finding("SPEC109", each.place, each.name, f"{each.killed_by} did not catch {each.name}")


def tests(project: Project) -> Iterator[Finding]:
    """Find tests that name nothing, and tests that never passed."""
    dead = project.lock.tombstones() if project.lock is not None else {}
    for test in project.tests:
        if project.resolve(test.requirement) is None:
            code = "SPEC112" if test.requirement in dead else "SPEC111"
            yield Finding(code, test.place, test.requirement, f"{test.test} names {test.requirement}")
    runs = project.evidence.tests
    if runs is None:
        return
    proofs = Proofs(project)
    for each in proofs.binding:
        named = {each.id, *each.aliases}
        is_ran = any(id in runs and runs[id].passed for id in named)
        by_test = proofs.tests(each) and not proofs.checks(each)
        if by_test and not is_ran and not proofs.is_excluded(each.id, "execution"):
            first = proofs.tests(each)[0]
            yield Finding("SPEC115", first.place, each.id, f"no test that names {each.id} passed, {first.test} first")


def _named(project: Project, check: CheckFact) -> Iterator[Finding]:
    found = [(id, project.resolve(id)) for id in check.requirements]
    for id, requirement in found:
        if requirement is None:
            yield _check(check, "SPEC105", f"{check.id} names {id}, which no document defines")
    levels = {each.level for _, each in found if each is not None}
    if check.level is Level.MUST and levels and (levels & _ADVICE or not levels & BINDING):
        said = ", ".join(f"{id} says {each.level}" for id, each in found if each is not None)
        yield _check(check, "SPEC106", f"{check.id} is a MUST and {said}")


def _without_check(proofs: Proofs, requirement: Requirement) -> str:
    weak = [each.id for each in proofs.checks(requirement, binding=False)]
    also = f" ({', '.join(weak)} names it and does not bind)" if weak else ""
    return f"no check that binds names {requirement.id}{also}: {requirement.statement}"


def _about(requirement: Requirement, code: str, message: str) -> Finding:
    return Finding(code, Place(requirement.document, requirement.line), requirement.id, message)


def _check(check: CheckFact, code: str, message: str) -> Finding:
    return Finding(code, check.place, check.id, message)


def _adapters(project: Project) -> str:
    return ", ".join(sorted(project.evidence.checks)) or "no adapter at all"
