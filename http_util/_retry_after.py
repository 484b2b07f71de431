"""When a server says to come back: `retry-after-ms`, `Retry-After` in seconds or as a date, or its rate limits.

A number that makes no sense is no advice. Advice beyond two minutes is cut to two minutes: a server that is wrong about
its future must not keep a client away for a day.

Implements: HTU-1002, AH-1005.
"""

from __future__ import annotations

from email.utils import mktime_tz, parsedate_tz
from math import isfinite
from typing import TYPE_CHECKING

from .rate_limits import reset_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RETRY_AFTER_MS = 120_000


def retry_after_ms(headers: Mapping[str, str], now: float) -> int | None:
    """Return the wait in milliseconds, from 0 to `MAX_RETRY_AFTER_MS`; None without (readable) advice.

    `headers` have lower-case names, `now` is Unix time in seconds.
    """
    in_ms = _number(headers.get("retry-after-ms", ""))
    if in_ms is not None:
        return _bounded(in_ms)
    value = headers.get("retry-after", "")
    in_s = _number(value)
    if in_s is None:
        in_s = _until(value, now)
    wait_ms = reset_ms(headers) if in_s is None else in_s * 1000
    return None if wait_ms is None else _bounded(wait_ms)


def _bounded(wait_ms: float) -> int:
    return int(min(max(wait_ms, 0), MAX_RETRY_AFTER_MS))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and number >= 0 else None


def _until(date: str, now: float) -> float | None:
    try:
        parsed = parsedate_tz(date)
        return None if parsed is None else mktime_tz(parsed) - now
    except (ValueError, OverflowError, IndexError, TypeError):  # the parser trusts its input
        return None
