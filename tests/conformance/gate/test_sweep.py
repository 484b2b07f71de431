"""The gate against our own documents, broken everywhere: each edit is found, under one of the right codes.

A sample of each kind of edit is tried here; `make test-slow` tries all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

import pytest

from conformance.gate.document_rules import unreadable
from conformance.gate.gathering import Sources, gather
from conformance.gate.verdict import judge, verdict
from specs import SpecError, load_from, lock_text, locked

from .sweep import mutations
from .sweep_facts import proved, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.gate.facts import Project
    from conformance.gate.verdict import Verdict

    from .sweep import Mutation
    from .sweep_facts import Step

ROOT = Path(__file__).parents[3]
SAMPLE = 2
"""So many of each kind of edit."""
PARTS = 100
"""All of them are tried in so many tests, because a test has a bound in time."""
T = TypeVar("T", "Mutation", "Step")


@dataclass(frozen=True, slots=True)
class Ours:
    """Our project with documents in a folder that can be broken, and what is wrong with it already."""

    project: Project
    texts: dict[str, str]
    known: frozenset[tuple[str, str, str]]

    def new_codes(self, verdict: Verdict) -> set[str]:
        """Return the codes of what was not wrong before."""
        return {each.code_id for each in verdict.findings if (each.code_id, each.about, each.message) not in self.known}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    whole = _gathered()
    folder = tmp_path_factory.mktemp("sweep") / "specs"
    folder.mkdir()
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "specs").glob("*.md")}
    del texts["README.md"]
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = load_from(folder)
    assert whole.lock is not None
    lock = locked(spec, whole.lock)  # whoever is at work on a document has not brought it up to date
    project = proved(replace(whole, spec=spec, folder=folder.as_posix(), lock=lock, lock_text=lock_text(lock)))
    known = frozenset((each.code_id, each.about, each.message) for each in judge(project).findings)
    return Ours(project, texts, known)


@cache
def _gathered() -> Project:
    return gather(Sources(root=ROOT, documents=ROOT / "specs", tests=ROOT / "tests", today=date(2026, 1, 1)))


def sampled(every: Iterable[T], per_kind: int) -> list[T]:
    """Return so many of each kind, the same ones in every run."""
    kinds: dict[str, list[T]] = {}
    for each in every:
        kinds.setdefault(each.kind, []).append(each)
    random = Random(1)
    return [each for found in kinds.values() for each in random.sample(found, min(per_kind, len(found)))]


def judged(ours: Ours, mutation: Mutation) -> Verdict:
    """Break one document, judge, and mend it."""
    path = Path(ours.project.folder) / mutation.file
    path.write_text(mutation.text, encoding="utf-8")
    try:
        return judge(replace(ours.project, spec=load_from(path.parent)))
    except SpecError as error:
        return verdict(unreadable(error))
    finally:
        path.write_text(ours.texts[mutation.file], encoding="utf-8")


def unseen_edits(ours: Ours, tried: Sequence[Mutation]) -> list[str]:
    return [
        f"{each.kind}, {each.about}: {sorted(found)} and none of {sorted(each.codes)}"
        for each in tried
        if not (found := ours.new_codes(judged(ours, each))) & each.codes
    ]


def unseen_steps(ours: Ours, tried: Iterable[Step]) -> list[str]:
    return [
        f"{each.kind}, {each.about}: {sorted(found)} and none of {sorted(each.codes)}"
        for each in tried
        if not (found := ours.new_codes(judge(each.project))) & each.codes
    ]


@pytest.mark.req("GATE-1004", "GATE-1004c", "GATE-1005b", "GATE-1005d")
def test_no_edit_of_our_documents_goes_unseen(ours: Ours) -> None:
    tried = sampled(mutations(ours.project.spec, ours.texts), SAMPLE)
    assert len({each.kind for each in tried}) > 20
    assert unseen_edits(ours, tried) == []


@pytest.mark.req("GATE-1001", "GATE-1001a", "GATE-1001b", "GATE-1003", "GATE-1006")
def test_no_step_around_our_documents_goes_unseen(ours: Ours) -> None:
    tried = sampled(steps(ours.project), SAMPLE)
    assert len({each.kind for each in tried}) > 20
    assert unseen_steps(ours, tried) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_edit_at_all_goes_unseen(ours: Ours, part: int) -> None:
    assert unseen_edits(ours, [*islice(mutations(ours.project.spec, ours.texts), part, None, PARTS)]) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_step_at_all_goes_unseen(ours: Ours, part: int) -> None:
    assert unseen_steps(ours, islice(steps(ours.project), part, None, PARTS)) == []
