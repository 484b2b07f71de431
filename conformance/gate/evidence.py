"""Evidence as a file: what was executed, for which documents, so that a slow run need not be made twice.

Several files are joined. A file for other documents than these is a finding and does not count.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

import msgspec

from specs import lock_text, locked

from .facts import Evidence, Run, TestRuns
from .finding import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from specs import Specification

FORMAT = 1
T = TypeVar("T")


class EvidenceError(ValueError):
    """The file holds no evidence; the message says why."""


class EvidenceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file. `checks` is adapter -> check -> run, `mutants` animal -> checks, `tests` requirement -> runs."""

    format: int = FORMAT
    documents: str
    checks: dict[str, dict[str, Run]] = {}
    mutants: dict[str, tuple[str, ...]] | None = None
    tests: dict[str, TestRuns] | None = None


def digest(spec: Specification) -> str:
    """Return what tells these documents from others: the hash of all statements."""
    return sha256(lock_text(locked(spec)).encode()).hexdigest()


def read(paths: Iterable[Path], spec: Specification) -> tuple[Evidence, list[Finding]]:
    """Return what the files say together, and the findings for those that do not count."""
    joined, troubles, expected = Evidence(), list[Finding](), digest(spec)
    for path in paths:
        file, place = _file(path), Place(path.as_posix())
        if file.documents == expected:
            found = Evidence(checks=file.checks, mutants=file.mutants, tests=file.tests, place=place)
            joined = join(joined, found)
        else:
            troubles.append(Finding("SPEC402", place, path.name, "it was recorded for other documents"))
    return joined, troubles


def text(evidence: Evidence, spec: Specification) -> str:
    """Return the text of a file with the evidence: sorted, the same bytes for the same runs."""
    file = EvidenceFile(
        documents=digest(spec),
        checks={adapter: dict(runs) for adapter, runs in evidence.checks.items()},
        mutants=None if evidence.mutants is None else {name: tuple(ids) for name, ids in evidence.mutants.items()},
        tests=None if evidence.tests is None else dict(evidence.tests),
    )
    return msgspec.json.format(msgspec.json.encode(file, order="deterministic"), indent=1).decode() + "\n"


def join(one: Evidence, other: Evidence) -> Evidence:
    """Return both; for the same adapter, check or test the later counts."""
    adapters = [*dict.fromkeys([*one.checks, *other.checks])]
    return Evidence(
        checks={each: {**one.checks.get(each, {}), **other.checks.get(each, {})} for each in adapters},
        mutants=_both(one.mutants, other.mutants),
        tests=_both(one.tests, other.tests),
        place=other.place,
    )


def _both(one: Mapping[str, T] | None, other: Mapping[str, T] | None) -> Mapping[str, T] | None:
    return {**(one or {}), **(other or {})} if one is not None or other is not None else None


def _file(path: Path) -> EvidenceFile:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=EvidenceFile)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise EvidenceError(f"{path}: {error}") from None
    if file.format != FORMAT:
        raise EvidenceError(f"{path}: format {file.format} is not known; this is format {FORMAT}")
    return file
