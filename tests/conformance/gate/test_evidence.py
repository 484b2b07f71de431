"""Evidence: what was executed elsewhere counts, if it was for the same documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specs
from conformance.gate import evidence, kit, service_kit
from conformance.gate.evidence import EvidenceError
from conformance.gate.facts import Evidence, Run, TestRuns
from conformance.gate.gathering import gather
from conformance.gate.verdict import judge
from conformance.outcome import Exit, Outcome

from .project import EVIDENCE, edit, gathered, sources, write

if TYPE_CHECKING:
    from pathlib import Path

ids = st.text(st.characters(categories=["Lu", "Nd"]), min_size=1, max_size=6)
counts = st.integers(0, 9)
EVIDENCES = st.builds(
    Evidence,
    checks=st.dictionaries(ids, st.dictionaries(ids, st.builds(Run, st.sampled_from(Outcome), counts))),
    mutants=st.none() | st.dictionaries(ids, st.lists(ids).map(tuple)),
    tests=st.none() | st.dictionaries(ids, st.builds(TestRuns, counts, counts)),
)


def same(one: Evidence, other: Evidence) -> bool:
    return (one.checks, one.mutants, one.tests) == (other.checks, other.mutants, other.tests)


@given(one=EVIDENCES)
def test_evidence_is_read_back_as_it_was_written(one: Evidence, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("evidence") / "evidence.json"
    path.write_text(evidence.text(one, specs.load()), encoding="utf-8")
    read, troubles = evidence.read([path], specs.load())
    assert same(read, one)
    assert not troubles
    assert evidence.text(read, specs.load()) == path.read_text(encoding="utf-8")


@given(one=EVIDENCES, other=EVIDENCES)
def test_joining_loses_nothing_and_the_later_counts(one: Evidence, other: Evidence) -> None:
    joined = evidence.join(one, other)
    for adapter, runs in other.checks.items():
        assert joined.checks[adapter].items() >= runs.items()
    assert same(evidence.join(Evidence(), one), one)
    assert same(evidence.join(one, one), one)
    assert set(joined.tests or ()) == {*(one.tests or ()), *(other.tests or ())}


@pytest.mark.req("GATE-1005c")
def test_evidence_for_other_documents_is_a_finding_and_does_not_count(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "evidence.json"
    spec = specs.load_from(tmp_path / "specs")
    path.write_text(evidence.text(EVIDENCE, spec), encoding="utf-8")
    whole = gathered(tmp_path)
    right = gather(replace(sources(tmp_path), evidence=[path]))
    assert judge(replace(whole, evidence=right.evidence, troubles=right.troubles)).exit_code is Exit.CONFORMING
    edit(tmp_path, "specs/events.md", "[EV-1001 r1]", "[EV-1001 r2]")
    wrong = gather(replace(sources(tmp_path), evidence=[path]))
    found = judge(replace(whole, evidence=wrong.evidence, troubles=wrong.troubles))
    assert [each.code_id for each in found.findings] == ["SPEC401", "SPEC402"]


@pytest.mark.parametrize(
    "text",
    ["", "\xe9", '{"documents": "\xe9"}', "[]", '{"format": 9, "documents": ""}', '{"documents": 1}', '{"extra": 1}'],
)
def test_what_is_no_evidence_is_an_error_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(EvidenceError, match=r"evidence\.json"):
        evidence.read([path], specs.load())


@pytest.mark.req("GATE-1001a")
def test_other_adapters_are_held_to_what_the_first_was_not() -> None:
    played = kit.play(("llamacpp", "mock"))
    assert list(played.checks) == ["mock", "llamacpp", service_kit.REFERENCE]
    assert played.runs("CAN-01").keys() == {"mock"}
    assert not played.checks["mock"]["FRM-12"].cases
    assert played.is_executed("FRM-12")


def test_places_of_checks_and_animals_are_those_of_their_source(tmp_path: Path) -> None:
    checks = {check.id: check.place for check in kit.checks(tmp_path)}
    assert checks["CAN-01"].file.endswith("conformance/checks/cancel.py")
    assert all(place.file.endswith(".py") and place.file != "conformance/catalogue.py" for place in checks.values())
    for mutant in kit.mutants(tmp_path):
        assert "/zoo/" in mutant.place.file or "/service/broken/" in mutant.place.file
        assert mutant.place.line > 1
