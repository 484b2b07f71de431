"""The documents lead: a changed order, schema, error row or bound changes what the checks ask, without any Python."""

from __future__ import annotations

from fnmatch import fnmatch
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

import specs
from conformance.catalogue import CHECKS
from conformance.outcome import Outcome
from conformance.runner import run_checks
from conformance.selection import select
from conformance.subjects import SUBJECTS
from conformance.zoo.order_faults import ReportsBeforeItStarts
from conformance.zoo.references import TalksInNumbers
from conformance.zoo.subject import zoo_subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.outcome import CheckReport
    from conformance.subject import Subject
    from conformance.zoo.subject import Animal
    from specs import Specification

    Changed = Callable[[str, str, str], Specification]

REFUSAL = """
[[error]]
id = "new-row"
condition = "a refusal that was written down this minute"
phase = "response"
status = 418
body = '{"error":{"code":418,"message":"short and stout","type":"invalid_request_error"}}'
kind = "KIND"
retriable = false
"""


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """Return the specification with one text replaced in one document, or in every one that has it ("*.md")."""

    def load(documents: str, old: str, new: str) -> Specification:
        texts = {entry.name: entry.read_text(encoding="utf-8") for entry in files(specs).iterdir() if entry.is_file()}
        texts = {name: text for name, text in texts.items() if name.endswith(".md")}
        found = [name for name, text in texts.items() if fnmatch(name, documents) and old in text]
        assert found
        for name, text in texts.items():
            (tmp_path / name).write_text(text.replace(old, new) if name in found else text, encoding="utf-8")
        return specs.load_from(tmp_path)

    return load


def played(subject: Subject, spec: Specification, check_id: str, address: str | None = None) -> CheckReport:
    check = CHECKS[check_id]
    result = run_checks(subject, select([(check, address)]), spec, every=list(CHECKS.values()))
    assert not result.kit_errors
    return next(each for each in result.checks if each.check is check)


def animal(kind: Animal) -> Subject:
    return zoo_subject("animal", kind, "mock")


@pytest.mark.req("ADAPT-3010")
def test_what_the_table_begins_to_allow_is_no_finding_any_more(changed: Changed) -> None:
    wider = changed("adapter-api.md", "[transitions.idle]\n", '[transitions.idle]\nmetrics = "idle"\n')
    animal_ = animal(ReportsBeforeItStarts)
    assert played(animal_, specs.load(), "FRM-04").outcome is Outcome.FAIL
    assert played(animal_, wider, "FRM-04").outcome is Outcome.PASS


@pytest.mark.req("ADAPT-3010")
def test_what_the_table_ceases_to_allow_is_one(changed: Changed) -> None:
    narrower = changed("adapter-api.md", 'metrics = "open"\n', 'metrics = "done"\n')
    assert played(animal(TalksInNumbers), specs.load(), "FRM-04").outcome is Outcome.PASS
    report = played(animal(TalksInNumbers), narrower, "FRM-05")
    assert report.outcome is Outcome.FAIL
    assert any("while the stream was done" in each.actual for each in report.broken_by[0].findings)


@pytest.mark.req("ADAPT-3001a")
def test_a_reason_that_the_schema_loses_is_a_finding(changed: Changed) -> None:
    spec = changed("adapter-api.md", '{"enum": ["stop", "length",', '{"enum": ["length",')
    assert played(SUBJECTS["mock"], specs.load(), "SCH-01", "everyday/completes").outcome is Outcome.PASS
    report = played(SUBJECTS["mock"], spec, "SCH-01", "everyday/completes")
    assert report.outcome is Outcome.FAIL
    assert "'stop' is not one of" in report.broken_by[0].about("SCH-01")[0].actual


@pytest.mark.req("ADAPT-3002")
@pytest.mark.parametrize(("kind", "outcome"), [("Adapter", Outcome.PASS), ("WorkerReset", Outcome.FAIL)])
def test_a_row_that_is_added_to_an_engines_table_is_played(changed: Changed, kind: str, outcome: Outcome) -> None:
    fence = "```toml spec=engine-errors engine=llamacpp\n"
    spec = changed("llamacpp.md", fence, fence + REFUSAL.replace("KIND", kind))
    report = played(SUBJECTS["llamacpp"], spec, "ERR-01", "table/new-row")
    assert (report.executed, report.outcome) == (1, outcome)


@pytest.mark.req("ADAPT-3002")
def test_a_kind_that_the_taxonomy_gets_is_known(changed: Changed) -> None:
    spec = changed("*.md", 'kind = "DecodeTimeout"', 'kind = "Silence"')
    assert played(SUBJECTS["mock"], spec, "ERR-02", "table/silent-between-tokens").outcome is Outcome.FAIL


@pytest.mark.req("ADAPT-3002f")
def test_a_bound_that_is_changed_is_asked_for(changed: Changed) -> None:
    spec = changed("http-util.md", "value = 120000", "value = 60000")
    address = next(
        f"advice/{case.name}"
        for case in CHECKS["ERR-09"].scenes[0].cases(SUBJECTS["llamacpp"], spec)
        if case.name.endswith("a-day")
    )
    assert played(SUBJECTS["llamacpp"], specs.load(), "ERR-09", address).outcome is Outcome.PASS
    report = played(SUBJECTS["llamacpp"], spec, "ERR-09", address)
    assert report.broken_by[0].about("ERR-09")[0].expected == "retry_after_ms=60000"
