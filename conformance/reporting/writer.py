"""Writes the files of a report: cleaned, made, searched for canaries, and only then written.

All files are made before the first is written. A canary in one of them means that the kit would leak what it found:
its own fault, and nothing is written. The same run gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from conformance.canary import Canaries, written
from conformance.check import MOST_SEEDS

from .badge import badge
from .cleaning import cleaned
from .junit import junit
from .page import page
from .record import json_text
from .recording import recorded
from .sarif import sarif
from .summary import summary
from .transcript import ndjson

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from conformance.outcome import SuiteReport
    from conformance.under_test import UnderTest
    from specs import Specification

    from .record import Record

FORMS: Mapping[str, Callable[[Record], str]] = {
    "report.json": json_text,
    "report.html": page,
    "junit.xml": junit,
    "results.sarif": sarif,
    "badge.json": badge,
    "SUMMARY.md": summary,
}
"""Name of a file -> what makes it of a record; the transcript is made of the run itself."""

TRANSCRIPT = "transcript.ndjson"
FILES = (*FORMS, TRANSCRIPT)
"""Everything that a report folder has."""


@final
class CanaryInReport(Exception):
    """A file of the report has a secret in it; the text says where, and which, never the secret."""


def write_report(
    report: SuiteReport,
    spec: Specification,
    folder: Path,
    *,
    secrets: Collection[str] = (),
    about: UnderTest | None = None,
) -> list[Path]:
    """Write the files of a run into a folder, which is made if needed; return their paths.

    `secrets` are those that a real engine or a service was opened with, `about` is what was put to the test, if not the
    adapter of the run's name. Raises `CanaryInReport` before anything is written,
    `OSError` if the folder cannot be written to.
    """
    texts = report_files(report, spec, secrets, about)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    return [folder / name for name in texts]


def report_files(
    report: SuiteReport, spec: Specification, secrets: Collection[str] = (), about: UnderTest | None = None
) -> dict[str, bytes]:
    """Return name -> bytes of every file of a run; raise `CanaryInReport` rather than return a canary or a secret."""
    clean = cleaned(report, spec, secrets)
    record = recorded(clean, spec, about)
    texts = {name: make(record) for name, make in FORMS.items()} | {TRANSCRIPT: ndjson(clean, record.kind)}
    for name, text in texts.items():
        _search(name, text, report.seed, written(secrets))
    return {name: text.encode() for name, text in texts.items()}


def _search(name: str, text: str, seed: int, secrets: Collection[str]) -> None:
    if any(form in text for form in secrets):
        raise CanaryInReport(f"a secret of the settings stands in {name}; nothing was written")
    for extra in range(MOST_SEEDS):
        sighting = Canaries(seed + extra).find(text, name)
        if sighting is not None:
            raise CanaryInReport(f"the {sighting.place} canary stands in {name}, {sighting.form}; nothing was written")
