"""Every way in which what stands around our documents can be broken by one step: the lock, the suite, the code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from conformance.check import Level
from conformance.gate.facts import Evidence, Pin, Run, Word
from conformance.gate.finding import Place
from conformance.gate.proofs import Proofs
from conformance.outcome import Outcome
from specs import Lock, Tombstone, lock_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.gate.facts import CheckFact, Project

HERE = Place("sweep.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A project with one thing wrong; one of `codes` has to be found."""

    kind: str
    about: str
    project: Project
    codes: frozenset[str]


def proved(project: Project) -> Project:
    """Return the project with evidence that every check was executed and every broken adapter caught."""
    runs = {check.id: Run(Outcome.PASS, 1) for check in project.checks}
    mutants = {each.name: (each.killed_by,) for each in project.mutants}
    return replace(project, evidence=Evidence(checks={"mock": runs}, mutants=mutants))


def steps(project: Project) -> Iterator[Step]:
    """Yield every step away from a project in which everything is executed and caught."""
    yield from _of_checks(project)
    yield from _of_pins(project)
    yield from _of_animals(project)
    yield from _of_tests(project)
    yield from _of_words(project)
    yield from _of_lock(project)


def _step(kind: str, about: str, project: Project, *codes: str) -> Step:
    return Step(kind=kind, about=about, project=project, codes=frozenset(codes))


def _of_checks(project: Project) -> Iterator[Step]:
    runs = dict(project.evidence.checks["mock"])
    for check in project.checks:
        yield _step("a check less", check.id, _with_check(project, check), "SPEC119")
        yield _step("a check twice", check.id, _with_check(project, check, check, check), "SPEC116")
        bare = replace(check, requirements=())
        yield _step("a check for nothing", check.id, _with_check(project, check, bare), "SPEC104")
        stray = replace(check, requirements=(*check.requirements, "NO-0000"))
        yield _step("a check for no requirement", check.id, _with_check(project, check, stray), "SPEC105")
        failed = replace(project, evidence=_with_runs(project, runs | {check.id: Run(Outcome.FAIL, 1)}))
        yield _step("a check that fails", check.id, failed, "SPEC110")
        if check.level is Level.MUST:
            idle = replace(project, evidence=_with_runs(project, runs | {check.id: Run(Outcome.NOT_APPLICABLE, 0)}))
            yield _step("a check that is not executed", check.id, idle, "SPEC103")
            kept = [each for each in project.mutants if each.killed_by != check.id]
            yield _step("a check that catches nothing", check.id, replace(project, mutants=kept), "SPEC107", "SPEC403")
        else:
            strict = replace(check, level=Level.MUST)
            yield _step("advice as law", check.id, _with_check(project, check, strict), "SPEC106")


def _with_check(project: Project, old: CheckFact, *new: CheckFact) -> Project:
    return replace(project, checks=[each for check in project.checks for each in (new if check is old else (check,))])


def _with_runs(project: Project, runs: dict[str, Run]) -> Evidence:
    return replace(project.evidence, checks={"mock": runs})


def _of_pins(project: Project) -> Iterator[Step]:
    for pin in project.pins:
        about, others = f"{pin.check} {pin.requirement}", [each for each in project.pins if each is not pin]
        yield _step("a pin less", about, replace(project, pins=others), "SPEC117")
        for revision in (pin.revision + 1, pin.revision - 1):
            moved = [*others, replace(pin, revision=revision)]
            yield _step("a pin to another revision", about, replace(project, pins=moved), "SPEC118")
        lost = [*project.pins, Pin(f"{pin.check}X", pin.requirement, 1, HERE)]
        yield _step("a pin for nothing", about, replace(project, pins=lost), "SPEC119")


def _of_animals(project: Project) -> Iterator[Step]:
    kills = dict(project.evidence.mutants or {})
    for each in project.mutants:
        escaped = replace(project.evidence, mutants=kills | {each.name: ()})
        yield _step("an animal that escapes", each.name, replace(project, evidence=escaped), "SPEC109")
        lost = [other if other is not each else replace(each, killed_by="NO-00") for other in project.mutants]
        yield _step("an animal for no check", each.name, replace(project, mutants=lost), "SPEC108")


def _of_tests(project: Project) -> Iterator[Step]:
    proofs = Proofs(project)
    for each in proofs.binding:
        others = [test for test in project.tests if project.resolve(test.requirement) is not each]
        if not proofs.checks(each) and proofs.tests(each) and not proofs.is_excluded(each.id, "test"):
            yield _step(
                "a requirement without its tests", each.id, replace(project, tests=others), "SPEC101", "SPEC102"
            )
    for test in {test.requirement: test for test in project.tests}.values():
        lost = [*project.tests, replace(test, requirement="NO-0000")]
        yield _step("a test for no requirement", test.test, replace(project, tests=lost), "SPEC111")


def _of_words(project: Project) -> Iterator[Step]:
    for source, words in project.words.items():
        found = _named(project, source)
        for word in words:
            fewer = [other for other in words if other.word != word.word]
            less = replace(project, words={**project.words, source: fewer})
            yield _step("a word less", f"{source} {word.word}", less, found[1], "SPEC309")
            more = replace(project, words={**project.words, source: [*words, Word(f"{word.word}x", HERE)]})
            yield _step("a word more", f"{source} {word.word}", more, found[0])


def _named(project: Project, source: str) -> tuple[str, str]:
    own = {"route": ("SPEC301", "SPEC302"), "metric": ("SPEC303", "SPEC304"), "error code": ("SPEC305", "SPEC306")}
    what = next(each.what for each in project.spec.agreements if source in each.code)
    return own.get(what, ("SPEC307", "SPEC308"))


def _of_lock(project: Project) -> Iterator[Step]:
    assert project.lock is not None
    lock = project.lock
    for number, each in enumerate(lock.requirements):
        others = (*lock.requirements[:number], *lock.requirements[number + 1 :])
        grave = Tombstone(id=each.id, revision=each.revision, text=each.text)
        level = "MAY" if each.level != "MAY" else "MUST"
        edits = (
            ("a text in the lock", {"text": f"{each.text} Or not."}, "SPEC014"),
            ("a hash in the lock", {"sha256": "0" * 64}, "SPEC014"),
            ("a level in the lock", {"level": level}, "SPEC011"),
            ("a revision in the lock", {"revision": each.revision + 1}, "SPEC012"),
            ("a profile in the lock", {"profile": "other"}, "SPEC016"),
            ("a place in the lock", {"place": "other.md"}, "SPEC016"),
        )
        for kind, changed, code in edits:
            new = (*others, msgspec.structs.replace(each, **changed))
            yield _step(kind, each.id, _with_lock(project, msgspec.structs.replace(lock, requirements=new)), code)
        less = msgspec.structs.replace(lock, requirements=others)
        yield _step("a requirement that the lock has not", each.id, _with_lock(project, less), "SPEC016")
        dead = msgspec.structs.replace(lock, removed=(*lock.removed, grave))
        yield _step("a requirement that is dead in the lock", each.id, _with_lock(project, dead), "SPEC013")
    for table in lock.tables:
        kept = tuple(other for other in lock.tables if other is not table)
        for kind, tables in (
            ("a table that the lock has not", kept),
            ("a table that the lock has otherwise", (*kept, msgspec.structs.replace(table, sha256="0" * 64))),
        ):
            new_lock = msgspec.structs.replace(lock, tables=tables)
            yield _step(kind, table.name, _with_lock(project, new_lock), "SPEC016")


def _with_lock(project: Project, lock: Lock) -> Project:
    return replace(project, lock=lock, lock_text=lock_text(lock))
