"""The checks of a service count like those of an adapter: with their places, their evidence, and what they catch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.gate import kit, service_kit
from conformance.gate.coverage import coverage
from conformance.gate.facts import Evidence, MutantFact, Run
from conformance.gate.finding import Place
from conformance.gate.gathering import gather
from conformance.gate.verdict import judge
from conformance.outcome import Outcome
from conformance.service.broken import BROKEN
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.zoo import Service

from .project import sources

ROOT = Path(__file__).parents[3]


@pytest.mark.req("GATE-1001")
def test_every_check_and_every_broken_service_has_a_place_in_its_file() -> None:
    checks = service_kit.checks(ROOT)
    assert [check.id for check in checks] == list(SERVICE_CHECKS)
    for check in checks:
        lines = Path(check.place.file).read_text(encoding="utf-8").splitlines()
        assert lines[check.place.line - 1].strip().startswith(("ServiceCheck(", "_"))
    animals = {mutant.name: mutant for mutant in service_kit.mutants(ROOT)}
    assert {name: each.killed_by for name, each in animals.items()} == {
        kind.__name__: id for kind, id in BROKEN.items()
    }
    assert all("/service/broken/" in each.place.file and each.place.line > 1 for each in animals.values())


@pytest.mark.req("GATE-1001a", "GATE-1001b")
def test_the_reference_is_held_to_every_check_and_each_broken_service_is_caught() -> None:
    played = service_kit.play()
    assert {id: run.cases for id, run in played.checks[service_kit.REFERENCE].items()} == dict.fromkeys(
        SERVICE_CHECKS, 1
    )
    caught = service_kit.hunt_all()
    assert caught == {kind.__name__: (id,) for kind, id in BROKEN.items()}


@pytest.mark.req("GATE-1001b")
def test_a_service_that_is_not_broken_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_kit, "BROKEN", {Service: "S-CAN-01"})
    assert service_kit.hunt_all() == {"Service": ()}


@pytest.mark.req("GATE-1001a", "GATE-1001b", "GATE-1001c")
def test_what_is_wrong_with_a_check_of_a_service_is_found() -> None:
    whole = gather(replace(sources(ROOT), play=lambda: kit.play((kit.FIRST,))))
    own = next(check for check in whole.checks if check.id == "S-STR-14")
    others = [check for check in whole.checks if check is not own]
    runs = {
        adapter: {id: run for id, run in of_one.items() if id != own.id}
        for adapter, of_one in whole.evidence.checks.items()
    }
    stray = MutantFact(name="is-lost", killed_by="S-NO-01", place=Place("x.py"))
    broken = replace(
        whole,
        checks=[*others, replace(own, requirements=("OC-CTRL-9999",)), replace(others[0], place=own.place)],
        mutants=[*(each for each in whole.mutants if each.killed_by != own.id), stray],
        evidence=Evidence(checks=runs | {"mine": {"S-CAN-01": Run(Outcome.FAIL, 1)}}),
    )
    before = {(each.code_id, each.about) for each in judge(whole).findings}
    found = {(each.code_id, each.about) for each in judge(broken).findings} - before
    assert found >= {
        ("SPEC103", own.id), ("SPEC105", own.id), ("SPEC107", own.id), ("SPEC108", "is-lost"),
        ("SPEC110", "S-CAN-01"), ("SPEC116", others[0].id),
    }  # fmt: skip
    row = {each.profile: each for each in coverage(whole)}["service"]
    assert row.checked == row.executed == row.backed > 50
