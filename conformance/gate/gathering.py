"""Collecting the facts of a project from its folder: documents, lock, tests, code, baseline, evidence.

The kit's catalogue belongs to the kit's documents. A project with documents of its own is judged by these, its tests
and its code alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import specs
from conformance.catalogue import CHECKS
from specs import LOCK, LockError, load_from, read_lock

from . import baseline, evidence, kit, pins
from .base import lock_at
from .facts import Evidence, Project
from .finding import Finding, Place
from .marks import marked_tests
from .words import words_in_code

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from specs import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the facts are."""

    root: Path
    documents: Path
    tests: Path
    today: date
    evidence: Sequence[Path] = ()
    baseline: Path | None = None
    base: str = ""
    play: Callable[[], Evidence] | None = None


def gather(sources: Sources) -> Project:
    """Return the facts; raise `SpecError` for documents, `BaseError` and `EvidenceError` for files of no use."""
    spec, troubles = load_from(sources.documents), list[Finding]()
    text, lock = _lock(sources.documents / LOCK, troubles)
    places = {source for each in spec.agreements for source in each.code}
    is_kit = is_of_kit(sources.documents)
    found, late = evidence.read(sources.evidence, spec)
    if is_kit and sources.play is not None:
        found = evidence.join(sources.play(), found)
    pinned, unpinned = pins.read(kit.pins_file(sources.root)) if is_kit else ([], [])
    expected, wrong = baseline.read(sources.baseline) if sources.baseline is not None else ([], [])
    return Project(
        spec=spec,
        today=sources.today,
        folder=sources.documents.as_posix(),
        lock=lock,
        lock_text=text,
        base=lock_at(sources.documents, sources.base) if sources.base else None,
        checks=kit.checks(sources.root) if is_kit else (),
        mutants=kit.mutants(sources.root) if is_kit else (),
        pins=pinned,
        tests=marked_tests(sources.tests, troubles),
        words={source: words_in_code(sources.root, source, troubles) for source in sorted(places)},
        evidence=found,
        baseline=expected,
        expectable=tuple(CHECKS),
        troubles=[*troubles, *late, *wrong, *unpinned],
    )


def _lock(path: Path, troubles: list[Finding]) -> tuple[str, Lock | None]:
    if not path.exists():
        return "", None
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_lock(text)
    except (LockError, UnicodeDecodeError, OSError) as error:
        troubles.append(Finding("SPEC017", Place(path.as_posix()), LOCK, str(error)))
        return "", None


def is_of_kit(documents: Path) -> bool:
    """Whether these documents are the kit's own, which its catalogues are for."""
    own = Path(specs.__file__).parent
    return documents.resolve() == own.resolve()
