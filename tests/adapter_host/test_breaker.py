"""The breaker: what it counts, how long it stays open, and the one request that tries it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_host import Breaker, BreakerPolicy, BreakerState, Trial

POLICY = BreakerPolicy(failures=3, open_s=1.0, cap_s=8.0)
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


@dataclass(eq=False, slots=True)
class Bench:
    """A breaker, its clock and what it told."""

    policy: BreakerPolicy = POLICY
    now: float = 0.0
    random01: float = 1.0
    told: list[BreakerState] = field(default_factory=list)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(
            self.policy, clock=lambda: self.now, random=lambda: self.random01, on_change=self.told.append
        )

    def begin(self) -> Trial:
        trial = self.breaker.begin()
        assert trial is not None
        return trial

    def fail(self, count: int = 1, retry_after_s: float = 0.0) -> None:
        for _ in range(count):
            self.begin().failed(retry_after_s)


@pytest.mark.req("ORCH-3602h")
def test_failures_in_a_row_open_it_and_a_success_between_them_starts_the_count_anew() -> None:
    bench = Bench()
    bench.fail(2)
    bench.begin().succeeded()
    bench.fail(2)
    assert (bench.breaker.state, bench.breaker.room) == (CLOSED, None)
    bench.fail()
    assert (bench.breaker.state, bench.breaker.room, bench.breaker.begin()) == (OPEN, 0, None)
    assert bench.told == [OPEN]


@pytest.mark.req("ORCH-3602h")
def test_what_says_nothing_about_the_engine_does_not_count() -> None:
    bench = Bench()
    bench.fail(2)
    bench.begin().dropped()
    assert bench.breaker.state is CLOSED
    bench.fail()
    assert bench.breaker.state is OPEN


@pytest.mark.req("ORCH-3602h")
def test_no_failures_at_all_never_open_one_that_is_told_not_to() -> None:
    bench = Bench(BreakerPolicy(failures=0))
    bench.fail(100)
    assert bench.breaker.state is CLOSED


@pytest.mark.req("ORCH-3602h")
def test_only_the_first_verdict_on_a_request_counts() -> None:
    bench = Bench()
    trial = bench.begin()
    for _ in range(5):
        trial.failed()
    trial.succeeded()
    assert bench.breaker.state is CLOSED
    bench.fail(2)
    assert bench.breaker.state is OPEN


@pytest.mark.req("ORCH-3602i")
def test_it_stays_open_twice_as_long_each_time_up_to_the_cap() -> None:
    bench = Bench()
    bench.fail(3)
    waits = [bench.breaker.wait_s]
    for _ in range(5):
        bench.now += bench.breaker.wait_s
        bench.fail()
        waits.append(bench.breaker.wait_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.req("ORCH-3602i")
@pytest.mark.parametrize(
    ("random01", "advised_s", "wait_s"), [(0.0, 0, 0.5), (0.5, 0, 0.75), (0.0, 5, 5), (0.0, 99, 8)]
)
def test_the_wait_has_jitter_and_the_engines_advice_is_its_least(
    random01: float, advised_s: float, wait_s: float
) -> None:
    bench = Bench(random01=random01)
    bench.fail(3, advised_s)
    assert bench.breaker.wait_s == wait_s


@pytest.mark.req("ORCH-3602j")
def test_after_the_wait_one_request_tries_it_and_its_first_token_closes_it() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now = 1.0
    assert (bench.breaker.wait_s, bench.breaker.room) == (0.0, 1)
    probe = bench.begin()
    assert (bench.breaker.state, bench.breaker.room, bench.breaker.begin()) == (HALF_OPEN, 0, None)
    probe.token()
    assert (bench.breaker.state, bench.breaker.room) == (CLOSED, None)
    assert bench.told == [OPEN, HALF_OPEN, CLOSED]


@pytest.mark.req("ORCH-3602j", "ORCH-3602i")
def test_a_probe_that_breaks_after_its_first_token_opens_it_again_for_longer() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now = 1.0
    probe = bench.begin()
    probe.token()
    probe.failed()
    assert (bench.breaker.state, bench.breaker.wait_s) == (OPEN, 2.0)


@pytest.mark.req("ORCH-3602j")
def test_a_probe_that_is_cancelled_makes_room_for_the_next() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now = 1.0
    bench.begin().dropped()
    assert (bench.breaker.state, bench.breaker.room) == (HALF_OPEN, 1)
    bench.begin().succeeded()
    assert bench.breaker.state is CLOSED
    bench.fail(2)
    assert bench.breaker.state is CLOSED  # a whole answer wipes the slate
    bench.fail()
    assert bench.breaker.wait_s == 1.0


@pytest.mark.req("ORCH-3602j")
@pytest.mark.parametrize("verdict", ["succeeded", "failed", "dropped", "token"])
def test_a_request_from_before_the_opening_has_no_say(verdict: str) -> None:
    bench = Bench()
    early = bench.begin()
    bench.fail(3)
    getattr(early, verdict)()
    assert (bench.breaker.state, bench.breaker.wait_s) == (OPEN, 1.0)
    bench.now = 1.0
    late = bench.begin()
    getattr(early, verdict)()
    assert (bench.breaker.state, bench.breaker.room) == (HALF_OPEN, 0)
    late.succeeded()
    assert bench.breaker.state is CLOSED


@pytest.mark.req("ORCH-3602l")
def test_a_wait_can_be_ended_and_a_replaced_engine_starts_clean() -> None:
    bench = Bench()
    bench.fail(3)
    bench.breaker.end_wait()
    assert (bench.breaker.state, bench.breaker.room) == (OPEN, 1)
    probe = bench.begin()
    bench.breaker.reset()
    assert (bench.breaker.state, bench.breaker.room) == (CLOSED, None)
    probe.failed()  # it was another engine
    bench.fail(2)
    assert bench.breaker.state is CLOSED
    assert bench.told == [OPEN, HALF_OPEN, CLOSED]


STEPS = st.tuples(
    st.sampled_from(["begin", "token", "succeeded", "failed", "dropped", "wait", "end_wait"]), st.integers(0, 9)
)


@pytest.mark.req("ORCH-3602h", "ORCH-3602i", "ORCH-3602j")
@given(steps=st.lists(STEPS, max_size=80), failures=st.integers(1, 3), random01=st.floats(0, 1))
def test_it_never_lets_through_what_it_should_not(steps: list[tuple[str, int]], failures: int, random01: float) -> None:
    bench = Bench(BreakerPolicy(failures=failures, open_s=1.0, cap_s=8.0), random01=random01)
    breaker, out, probing = bench.breaker, list[Trial](), list[Trial]()
    for step, pick in steps:
        state, room, wait_s = breaker.state, breaker.room, breaker.wait_s
        if step == "begin":
            trial = breaker.begin()
            assert (trial is None) == (room == 0)
            if trial is not None:
                out.append(trial)
            if trial is not None and state is not CLOSED:
                assert not probing  # never two at once
                probing.append(trial)
        elif step == "wait":
            bench.now += pick / 4
        elif step == "end_wait":
            breaker.end_wait()
        elif out:
            trial = out[pick % len(out)]
            getattr(trial, step)()
            if step != "token":
                out.remove(trial)
            if trial in probing:
                probing.remove(trial)
            elif step in {"succeeded", "token"}:
                assert breaker.state is state or state is CLOSED
        assert 0.0 <= breaker.wait_s <= 8.0
        assert (breaker.room is None) == (breaker.state is CLOSED)
        assert not (breaker.wait_s and breaker.state is not OPEN)
        assert not (state is OPEN and wait_s and step == "begin" and breaker.state is not OPEN)
    assert all(one is not other for one, other in zip(bench.told, bench.told[1:], strict=False))
