"""The matrix that is kept: it is of the zoo as it is."""

from __future__ import annotations

import pytest

from conformance.command_line.mutants import ZOO
from conformance.mutants import MUTANTS, REFERENCES
from conformance.power.matrix import Matrix, read_matrix
from conformance.reporting.shipped import REPORTS, read_shipped


@pytest.fixture(scope="module")
def kept() -> Matrix:
    return read_matrix((REPORTS / read_shipped().version / ZOO).read_bytes())


def test_nobody_escaped_and_nobody_was_wronged(kept: Matrix) -> None:
    assert kept.escaped == []
    assert kept.wronged == []
    assert [check_id for check_id in kept.idle if check_id in kept.binding] == []


@pytest.mark.slow  # a mutant may come before the quarter of an hour that a new matrix takes
def test_it_knows_every_animal(kept: Matrix) -> None:
    assert sorted(row.name for row in kept.rows) == sorted(mutant.name for mutant in MUTANTS)
    assert sorted(odd.name for odd in kept.references) == sorted(reference.name for reference in REFERENCES)
