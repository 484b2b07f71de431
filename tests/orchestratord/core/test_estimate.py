"""The estimate of a start, against a simulation that hands slots out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestratord.core.estimate import PRIOR_S, ServiceTime, predicted_start_ms

pytestmark = pytest.mark.req("OC-CTRL-2050")
seconds = st.integers(0, 64).map(lambda quarters: quarters / 4)


def simulate(ahead: int, free: int, running: list[float], mean: float) -> int:
    free_at = [0.0] * free + [max(0.0, mean - held) for held in running]
    start = 0.0
    for _ in range(ahead + 1):
        start = min(free_at)
        free_at[free_at.index(start)] = start + mean
    return round(1000 * start)


@given(ahead=st.integers(0, 20), free=st.integers(0, 3), running=st.lists(seconds, max_size=4), mean=seconds)
def test_is_what_handing_out_the_slots_gives(ahead: int, free: int, running: list[float], mean: float) -> None:
    if free or running:
        assert predicted_start_ms(ahead, free, running, mean) == simulate(ahead, free, running, mean)
    else:
        assert predicted_start_ms(ahead, free, running, mean) == round(1000 * mean * (ahead + 1))


@given(ahead=st.integers(0, 20), free=st.integers(0, 3), running=st.lists(seconds, max_size=4), mean=seconds)
def test_is_never_negative_and_grows_with_the_line(ahead: int, free: int, running: list[float], mean: float) -> None:
    now = predicted_start_ms(ahead, free, running, mean)
    assert 0 <= now <= predicted_start_ms(ahead + 1, free, running, mean)


def test_a_free_slot_means_at_once() -> None:
    assert predicted_start_ms(1, 2, [], 60.0) == 0


def test_an_overdue_task_is_expected_to_end_now() -> None:
    assert predicted_start_ms(0, 0, [9.0], 2.0) == 0


def test_the_first_observation_replaces_the_prior_and_later_ones_blend_in() -> None:
    time = ServiceTime()
    assert time.mean_s == PRIOR_S
    time.observe(10.0)
    assert time.mean_s == 10.0
    time.observe(20.0)
    assert time.mean_s == pytest.approx(12.0)


@given(st.lists(seconds, min_size=1))
def test_the_mean_stays_within_what_was_seen(held: list[float]) -> None:
    time = ServiceTime()
    for each in held:
        time.observe(each)
    assert min(held) - 1e-9 <= time.mean_s <= max(held) + 1e-9
