"""One bad look is no outage, and what an engine says of itself is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import WorkerHealth
from orchestratord.core.hysteresis import Hysteresis

GOOD = WorkerHealth(live=True, ready=True)
GONE = WorkerHealth(live=False, ready=False, detail="connection refused")
LOADING = WorkerHealth(live=True, ready=False, detail="loading model")

pytestmark = pytest.mark.req("ORCH-3038c")


def verdicts(checks: Hysteresis, *told: WorkerHealth) -> list[bool]:
    return [checks.judge(each).ready for each in told]


def test_as_many_failures_in_a_row_as_configured_take_it_out() -> None:
    checks = Hysteresis(failures=3, successes=1)
    assert verdicts(checks, GOOD, GONE, GONE, GOOD, GONE, GONE, GONE, GONE) == [True] * 6 + [False] * 2


def test_as_many_successes_in_a_row_as_configured_bring_it_back() -> None:
    checks = Hysteresis(failures=1, successes=3)
    assert verdicts(checks, GOOD, GOOD, GONE, GOOD, GOOD, GOOD, GOOD) == [False] * 5 + [True] * 2


def test_an_engine_that_says_it_is_not_ready_is_out_at_once() -> None:
    checks = Hysteresis(failures=3, successes=1)
    assert verdicts(checks, GOOD, LOADING, GOOD) == [True, False, True]


def test_what_it_shows_is_the_report_or_how_far_the_count_is() -> None:
    checks = Hysteresis(failures=2, successes=2)
    assert checks.judge(GONE) == GONE
    assert checks.judge(GOOD) == WorkerHealth(live=True, ready=False, detail="1 of 2 good checks")
    assert checks.judge(GOOD) == GOOD
    doubted = checks.judge(GONE)
    assert doubted == WorkerHealth(live=True, ready=True, detail="1 of 2 failed checks: connection refused")
    assert checks.judge(GONE) == GONE


@given(
    failures=st.integers(1, 4),
    successes=st.integers(1, 4),
    told=st.lists(st.sampled_from([GOOD, GONE, LOADING]), max_size=40),
)
def test_it_changes_only_with_reason(failures: int, successes: int, told: list[WorkerHealth]) -> None:
    checks = Hysteresis(failures, successes)
    seen: list[WorkerHealth] = []
    was_up = False
    for each in told:
        seen.append(each)
        is_up = checks.judge(each).ready
        assert is_up is checks.is_up
        if is_up and not was_up:
            assert [one.ready for one in seen[-successes:]] == [True] * successes
        if was_up and not is_up:
            assert each == LOADING or [one.ready for one in seen[-failures:]] == [False] * failures
        if len(seen) >= max(failures, successes) and len({one.ready for one in seen[-max(failures, successes) :]}) == 1:
            assert is_up is each.ready  # nothing holds out against a long enough row
        was_up = is_up
