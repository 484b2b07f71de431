"""Odd adapters under every schedule that an ordinary run plays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.check import MOST_SEEDS
from conformance.mutants import REFERENCES
from tests.conformance.zoo.hunting import assert_not_blamed, name

if TYPE_CHECKING:
    from conformance.zoo.animals import Reference


@pytest.mark.slow
@pytest.mark.parametrize("reference", REFERENCES, ids=name)
def test_an_odd_but_correct_adapter_is_not_blamed(reference: Reference) -> None:
    assert_not_blamed(reference, MOST_SEEDS)
