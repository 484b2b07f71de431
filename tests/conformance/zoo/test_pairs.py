"""Two faults at once: one may hide the other, but not both may hide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.power.measuring import caught_pair, sampled_pairs

if TYPE_CHECKING:
    from conformance.zoo.animals import Mutant

PAIRS, SEED = 120, 1


@pytest.mark.slow
@pytest.mark.parametrize("pair", sampled_pairs(PAIRS, SEED), ids=lambda pair: f"{pair[0].name}-in-{pair[1].name}")
def test_of_two_faults_at_once_one_is_caught(pair: tuple[Mutant, Mutant]) -> None:
    one, other = pair
    assert caught_pair(one, other), f"neither {one.fault} nor {other.fault}"


def test_a_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert sampled_pairs(10, 1) == sampled_pairs(10, 1)
    assert sampled_pairs(10, 1) != sampled_pairs(10, 2)
