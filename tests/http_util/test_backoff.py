"""Delays between tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util.backoff import RetryPolicy

pytestmark = pytest.mark.req("HTU-1002")

RANDOM = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 10_000), RANDOM)
def test_the_delay_is_a_share_of_the_capped_exponential(n: int, random01: float) -> None:
    limit = min(2.0, 0.1 * 2.0 ** min(n, 50))

    assert RetryPolicy().delay(n, random01) == pytest.approx(random01 * limit)


@pytest.mark.req("HTU-1002b")
@given(st.integers(0, 20), RANDOM, st.floats(-10, 1000))
def test_advice_is_a_lower_bound_up_to_the_cap(n: int, random01: float, advice_s: float) -> None:
    policy = RetryPolicy()

    delay_s = policy.delay(n, random01, advice_s)

    assert 0 <= delay_s <= policy.cap_s
    assert delay_s >= min(advice_s, policy.cap_s)
    assert delay_s >= policy.delay(n, random01)
