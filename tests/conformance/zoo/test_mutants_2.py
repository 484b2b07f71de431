"""Broken adapters without a wire, one half of them: each is caught by the check whose rule it breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.zoo.hunting import assert_caught, mutants, name

if TYPE_CHECKING:
    from conformance.zoo.animals import Mutant


@pytest.mark.parametrize("mutant", mutants(1, 2, on_a_wire=False), ids=name)
def test_a_broken_adapter_is_caught_with_the_requirement_in_the_text(mutant: Mutant) -> None:
    assert_caught(mutant)
