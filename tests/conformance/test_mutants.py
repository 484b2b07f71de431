"""The kit proves itself: each broken adapter is caught by the check whose rule it breaks, and no odd one is blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.check import Level
from conformance.mutants import MUTANTS, REFERENCES, Kill, blamed, hunt, unproved
from conformance.outcome import Exit

if TYPE_CHECKING:
    from conformance.zoo.animals import Mutant, Reference

UNPROVED = {"FRM-12"}
"""Keep-alives are seen by the adapter's decoder alone: no wrapper around an adapter can get them wrong."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_adapter_is_caught_with_the_requirement_in_the_text(mutant: Mutant) -> None:
    kill = hunt(mutant)
    assert mutant.killed_by in kill.caught_by, f"{mutant.name} ({mutant.fault}) was caught by {kill.caught_by}"
    assert kill.is_right, kill.text
    assert "reproduce" in kill.text
    assert mask_for(0)(kill.text).count("canary:") or mask_for(0)(kill.text) == kill.text


@pytest.mark.req("ADAPT-3001c")
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_an_odd_but_correct_adapter_is_not_blamed(reference: Reference) -> None:
    blaming, code = blamed(reference)
    assert not [(each.check.id, [finding.actual for finding in each.broken_by[0].findings]) for each in blaming]
    assert code is Exit.CONFORMING


def test_every_binding_check_is_proved_by_a_mutant() -> None:
    kills = [Kill(mutant=mutant, caught_by=(mutant.killed_by,), text="") for mutant in MUTANTS]
    assert {check_id for check_id in unproved(kills) if CHECKS[check_id].level is Level.MUST} == UNPROVED


def test_animals_have_names_of_their_own_and_say_what_is_wrong_with_them() -> None:
    names = [mutant.name for mutant in MUTANTS] + [reference.name for reference in REFERENCES]
    assert len(set(names)) == len(names)
    assert all(mutant.fault.endswith(".") for mutant in MUTANTS)
    assert all(reference.oddity.endswith(".") for reference in REFERENCES)
