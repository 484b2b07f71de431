"""Headers of rate limits: what is left, and how long to wait for more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util.rate_limits import duration_ms, remaining, reset_ms
from http_util.status import MAX_RETRY_AFTER_MS, retry_after_ms

pytestmark = pytest.mark.req("OC-ADAPT-OAI-6021")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("12ms", 12.0),
        ("1s", 1000.0),
        ("1.5s", 1500.0),
        ("6m0s", 360_000.0),
        ("1h2m3.5s", 3_723_500.0),
        ("500us", 0.5),
        ("30", 30_000.0),
        (" 0.25 ", 250.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("", None),
        ("-1", None),
        ("-1s", None),
        ("soon", None),
        ("1d", None),
        ("1s later", None),
        ("1.s", None),
        ("nan", None),
        ("1e9", None),
        ("\u0661s", None),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, ms: float | None) -> None:
    assert duration_ms(text) == ms


def test_the_limit_that_is_used_up_counts_and_the_longer_of_two() -> None:
    both = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1.5s",
        "x-ratelimit-remaining-tokens": "10",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert reset_ms(both) == 1500
    assert reset_ms({**both, "x-ratelimit-remaining-tokens": "0"}) == 360_000
    assert reset_ms({**both, "x-ratelimit-remaining-requests": "3"}) is None
    assert remaining(both) == {"requests": 0, "tokens": 10}


@pytest.mark.parametrize("reset", ["0", "-1", "0s", "", "soon"])
def test_no_time_or_a_senseless_one_is_no_advice(reset: str) -> None:
    assert reset_ms({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}) is None


def test_a_servers_own_advice_goes_first() -> None:
    limits = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s"}
    assert retry_after_ms(limits, 0.0) == 3000
    assert retry_after_ms({**limits, "retry-after": "2"}, 0.0) == 2000
    assert retry_after_ms({**limits, "retry-after": "2", "retry-after-ms": "250.5"}, 0.0) == 250
    assert retry_after_ms({**limits, "retry-after": "soon"}, 0.0) == 3000
    assert retry_after_ms({**limits, "x-ratelimit-reset-tokens": "9h"}, 0.0) == MAX_RETRY_AFTER_MS


@given(st.text(max_size=30))
def test_any_text_is_a_wait_or_none(text: str) -> None:
    wait = duration_ms(text)
    assert wait is None or wait >= 0
    headers = {
        f"x-ratelimit-{what}-{limit}": text for what in ("remaining", "reset") for limit in ("requests", "tokens")
    }
    assert all(left >= 0 for left in remaining(headers).values())
    assert reset_ms(headers) is None


@given(h=st.integers(0, 99), m=st.integers(0, 59), ms=st.integers(0, 59_999))
def test_every_duration_that_go_writes_is_read(h: int, m: int, ms: int) -> None:
    assert duration_ms(f"{h}h{m}m{ms / 1000}s") == pytest.approx(3_600_000 * h + 60_000 * m + ms)
