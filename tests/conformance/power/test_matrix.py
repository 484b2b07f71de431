"""The kill matrix: what it says about a hunt, and how it is shown."""

from __future__ import annotations

import specs
from conformance.catalogue import CHECKS
from conformance.power.matrix import Matrix, Odd, Row, Seeds, median_share, read_matrix
from conformance.power.schedules import FewSchedules
from conformance.power.tables import checks_text, matrix_text, seeds_text
from conformance.selection import select_whole
from conformance.subjects import SUBJECTS


def row(name: str, killed_by: str, *caught_by: str, seeds: Seeds | None = None) -> Row:
    return Row(
        name=name,
        fault="Is broken.",
        base="mock",
        killed_by=killed_by,
        caught_by=caught_by,
        is_right=killed_by in caught_by,
        seeds=seeds,
    )


def matrix(*rows: Row, references: tuple[Odd, ...] = ()) -> Matrix:
    checks = ("CAN-01", "CAN-02", "FRM-01")
    return Matrix(
        version="1", is_whole=True, checks=checks, binding=frozenset(checks), rows=rows, references=references
    )


ALWAYS = Seeds(caught=8, of=8, played=4, fewest=4)
RARELY = Seeds(caught=2, of=8, played=4, fewest=0)
OFTEN = Seeds(caught=6, of=8, played=4, fewest=2)

HUNT = matrix(
    row("acks-first", "CAN-01", "CAN-01", "CAN-02", seeds=OFTEN),
    row("never-ends", "CAN-02", "CAN-02", seeds=ALWAYS),
    row("slips-through", "CAN-02", "CAN-01", seeds=RARELY),
)


def test_it_tells_which_check_is_needed() -> None:
    assert [each.name for each in HUNT.alone("CAN-02")] == ["never-ends"]
    assert [each.name for each in HUNT.made_for("CAN-02")] == ["never-ends", "slips-through"]
    assert [each.name for each in HUNT.caught_by("CAN-01")] == ["acks-first", "slips-through"]
    assert HUNT.idle == ["FRM-01"]


def test_one_that_is_caught_by_another_check_only_has_escaped() -> None:
    assert [each.name for each in HUNT.escaped] == ["slips-through"]


def test_an_odd_one_is_wronged_by_blame_and_by_a_run_without_a_verdict() -> None:
    def odd(name: str, *blamed_by: str, is_conforming: bool = True) -> Odd:
        return Odd(name=name, oddity="Is odd.", base="mock", warns=(), blamed_by=blamed_by, is_conforming=is_conforming)

    hunt = matrix(references=(odd("fine"), odd("blamed", "CAN-01"), odd("too-little-ran", is_conforming=False)))
    assert [each.name for each in hunt.wronged] == ["blamed", "too-little-ran"]


def test_luck_is_told_of_those_that_need_it_and_the_luckiest_comes_first() -> None:
    assert [each.name for each in HUNT.lucky] == ["slips-through", "acks-first"]
    assert median_share(HUNT.lucky) == 0.5
    assert median_share([]) == 1.0
    lines = list(seeds_text(HUNT))
    assert lines[0].startswith("1 of 3 are caught under every schedule")
    assert lines[2].split() == ["slips-through", "2/8", "25%", "at", "least", "0", "of", "4"]
    assert "median 50%, lowest 25%" in lines[-1]


def test_it_is_the_same_after_it_was_kept() -> None:
    kept = HUNT.to_json()
    assert read_matrix(kept) == HUNT
    assert read_matrix(kept).to_json() == kept


def test_the_matrix_has_a_column_for_each_mutant_and_a_row_for_each_check_that_catches_one() -> None:
    lines = list(matrix_text(HUNT))
    assert "CAN-01  #.+" in lines
    assert "CAN-02  +#." in lines
    assert not [line for line in lines if line.startswith("FRM-01")]


def test_fewer_schedules_are_the_same_cases() -> None:
    spec, mock, whole = specs.load(), SUBJECTS["mock"], select_whole([CHECKS["CAN-01"]])
    for most in (1, 3):
        few = FewSchedules.of(whole, most)
        for scene in whole.plays:
            usual, fewer = whole.cases(scene, mock, spec), few.cases(scene, mock, spec)
            assert [case.name for case in fewer] == [case.name for case in usual]
            assert [case.seeds for case in fewer] == [min(case.seeds, most) for case in usual]


def test_the_matrix_fits_on_a_terminal() -> None:
    many = matrix(*(row(f"a-mutant-with-a-name-of-its-own-{n}", "CAN-01", "CAN-01") for n in range(250)))
    lines = [*matrix_text(many), *checks_text(many)]
    assert max(map(len, lines)) <= 120
    assert sum(line.count("#") for line in lines if line.startswith("CAN-01 ")) == 250
