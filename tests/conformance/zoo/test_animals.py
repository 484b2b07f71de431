"""The zoo itself: who is in it, and that it leaves no check unproved."""

from __future__ import annotations

import pytest

from conformance.__main__ import main
from conformance.catalogue import CHECKS
from conformance.check import Level
from conformance.mutants import MUTANTS, REFERENCES, Kill, hunt, unproved
from conformance.outcome import Exit
from conformance.zoo.subject import BASES
from tests.conformance.zoo.hunting import mutants, references, twice

FEWEST_MUTANTS, FEWEST_REFERENCES = 80, 12
ONE_MUTANT = 1
"""How many binding checks may have a single mutant: figures that can only shrink."""


def test_every_binding_check_is_proved_by_a_mutant() -> None:
    kills = [Kill(mutant=mutant, caught_by=(mutant.killed_by,), text="") for mutant in MUTANTS]
    assert [check_id for check_id in unproved(kills) if CHECKS[check_id].level is Level.MUST] == []


def test_animals_have_names_of_their_own_and_say_what_is_wrong_with_them() -> None:
    assert list(twice([*(mutant.name for mutant in MUTANTS), *(reference.name for reference in REFERENCES)])) == []
    assert [mutant.name for mutant in MUTANTS if not mutant.fault.endswith(".")] == []
    assert [reference.name for reference in REFERENCES if not reference.oddity.endswith(".")] == []


def test_animals_are_made_from_what_is_there() -> None:
    assert {mutant.base for mutant in MUTANTS} | {each.base for each in REFERENCES} <= BASES.keys()
    assert {mutant.under for mutant in MUTANTS} <= CHECKS.keys() | {""}


def test_what_a_hunt_found_can_be_played_again(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = next(each for each in MUTANTS if each.name == "reads-comments-aloud")
    command = hunt(mutant).text.rpartition("reproduce ")[2].split()
    with pytest.raises(SystemExit) as left:
        main(command[command.index("run") :])
    assert left.value.code == Exit.NOT_CONFORMING
    assert "FAIL FRM-12" in capsys.readouterr().out


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= FEWEST_MUTANTS
    assert len(REFERENCES) >= FEWEST_REFERENCES


def test_every_animal_is_hunted_by_one_of_the_files() -> None:
    hunted = [*mutants(0, 2, on_a_wire=False), *mutants(1, 2, on_a_wire=False), *mutants(0, 1, on_a_wire=True)]
    assert sorted(each.name for each in hunted) == sorted(each.name for each in MUTANTS)
    tried = [*references(0, 2), *references(1, 2)]
    assert sorted(each.name for each in tried) == sorted(each.name for each in REFERENCES)
