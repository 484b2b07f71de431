"""One way to break the project, and what the gate says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conformance.gate.document_rules import unreadable
from conformance.gate.facts import Evidence, Run
from conformance.gate.pins import settled
from conformance.gate.verdict import Verdict, judge, verdict
from specs import SpecError
from specs.__main__ import write_lock

from .project import RUNS, edit, gathered, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.gate.facts import CheckFact, MutantFact, Pin, Project, TestRuns

    Facts = Callable[[Project], Project]


def same(project: Project) -> Project:
    """Leave the facts as they are."""
    return project


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An edit, new or removed files, or other facts; `at` is the file, and a text on the line, that are blamed.

    With `is_locked` the lock is brought up to date afterwards.
    """

    name: str
    code: str
    at: tuple[str, str]
    edit: tuple[str, str, str] | None = None
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    facts: Facts = same
    is_locked: bool = True

    def judged(self, folder: Path) -> Verdict:
        """Break the project in the folder and judge it."""
        write(folder)
        if self.edit is not None:
            edit(folder, *self.edit)
        for name, text in self.files.items():
            path = folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        try:
            if self.is_locked:
                write_lock(folder / "specs")
            return judge(self.facts(gathered(folder)))
        except SpecError as error:
            return verdict(unreadable(error))

    def line(self, folder: Path) -> int:
        """Return the line that is to be blamed."""
        file, text = self.at
        if not text or text.isdigit() or not (folder / file).exists():
            return int(text or 1)
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)


def document(name: str, code: str, file: str, on: str, old: str, new: str, *, is_locked: bool = True) -> Broken:
    """Break a document by replacing a text."""
    path = f"specs/{file}"
    return Broken(name=name, code=code, at=(path, on), edit=(path, old, new), is_locked=is_locked)


def suite(name: str, code: str, at: tuple[str, str], facts: Facts) -> Broken:
    """Break the suite or its evidence."""
    return Broken(name=name, code=code, at=at, facts=facts)


def checks(*checks: CheckFact) -> Facts:
    """Judge with other checks: with the broken adapters and the runs of those that are left, and a pin for each."""
    ids = {check.id for check in checks}
    left = {adapter: {id: run for id, run in runs.items() if id in ids} for adapter, runs in RUNS.items()}
    return lambda project: replace(
        project,
        checks=checks,
        mutants=[each for each in project.mutants if each.killed_by in ids],
        pins=settled((), checks, project.spec),
        evidence=Evidence(checks=left),
    )


def pins(*pins: Pin) -> Facts:
    """Judge with other pins."""
    return lambda project: replace(project, pins=pins)


def mutants(*mutants: MutantFact) -> Facts:
    """Judge with other broken adapters."""
    return lambda project: replace(project, mutants=mutants)


def runs(
    runs: Mapping[str, Mapping[str, Run]],
    kills: Mapping[str, tuple[str, ...]] | None = None,
    tests: Mapping[str, TestRuns] | None = None,
) -> Facts:
    """Judge with other evidence."""
    evidence = Evidence(checks=runs, mutants=kills, tests=tests)
    return lambda project: replace(project, evidence=evidence)
