"""The catalogue against the documents: nothing in it is made up, and nothing is stricter than its text."""

from __future__ import annotations

import pytest

import specs
from conformance.catalogue import CHECKS
from conformance.check import Check, Level
from conformance.mutants import MUTANTS
from conformance.subjects import SUBJECTS

SPEC = specs.load()
BINDING = {specs.Level.MUST, specs.Level.MUST_NOT}


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_a_check_serves_requirements_that_exist_and_is_no_stricter(check: Check) -> None:
    levels = {SPEC.requirement(each).level for each in check.requirements}
    assert levels, "a check without a requirement"
    assert check.level is Level.SHOULD or levels & BINDING


def test_scenes_have_names_of_their_own() -> None:
    scenes = {scene for check in CHECKS.values() for scene in check.scenes}
    assert len({scene.name for scene in scenes}) == len(scenes)


@pytest.mark.parametrize("adapter", SUBJECTS)
def test_cases_have_names_of_their_own_within_a_scene(adapter: str) -> None:
    for scene in {scene for check in CHECKS.values() for scene in check.scenes}:
        names = [case.name for case in scene.cases(SUBJECTS[adapter], SPEC)]
        assert len(set(names)) == len(names), scene.name
        assert not any(set(name) & set(" :/,") for name in (*names, scene.name))


def test_mutants_name_checks_that_exist() -> None:
    assert {mutant.killed_by for mutant in MUTANTS} <= CHECKS.keys()


ADAPTER_RULES = [each for each in SPEC.requirements.values() if each.document == "specs/adapter-api.md"]
UNCHECKED = {
    "ADAPT-3004": "names are compared by the tests of the service",
    "ADAPT-3101": "a rule about the source, not about behaviour",
}


def test_every_binding_rule_of_the_boundary_is_checked_or_excused() -> None:
    checked = {SPEC.requirement(each).id for check in CHECKS.values() for each in check.requirements}
    binding = {each.id for each in ADAPTER_RULES if each.level in BINDING}
    assert binding - checked == UNCHECKED.keys()
