"""What `x-ratelimit-*` headers say: how much is left, and when a limit that is used up is lifted.

    x-ratelimit-remaining-requests: 0        x-ratelimit-remaining-tokens: 1499
    x-ratelimit-reset-requests: 6m0s         x-ratelimit-reset-tokens: 12ms

Durations are written as Go writes them; some servers send whole seconds instead, and -1 or 0 where they do not know.
Pure; what cannot be read is untold.

Implements: OC-ADAPT-OAI-6021.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = ("requests", "tokens")
_UNITS_MS = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "us": 0.001, "µs": 0.001, "ns": 0.000_001}
_PART = r"(\d{1,12}(?:\.\d{1,12})?)(h|ms|us|µs|ns|m|s)"
_DURATION = re.compile(rf"(?:{_PART})+", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,12})?", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)


def remaining(headers: Mapping[str, str]) -> dict[str, int]:
    """Return what is left of each limit that is told, by `requests` and `tokens`."""
    told = {limit: headers.get(f"x-ratelimit-remaining-{limit}", "").strip() for limit in LIMITS}
    return {limit: int(left) for limit, left in told.items() if _COUNT.fullmatch(left)}


def reset_ms(headers: Mapping[str, str]) -> float | None:
    """Return the milliseconds until every limit that is used up is lifted; None if none is, or nothing is told."""
    waits = [duration_ms(headers.get(f"x-ratelimit-reset-{limit}", "")) for limit in _used_up(headers)]
    return max((wait for wait in waits if wait), default=None)


def duration_ms(text: str) -> float | None:
    """Return a duration like `6m0s`, `1.5s`, `12ms` or `30` (seconds) in milliseconds; None if it is none."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text) * 1000
    if _DURATION.fullmatch(text):
        return sum(float(number) * _UNITS_MS[unit] for number, unit in re.findall(_PART, text))
    return None


def _used_up(headers: Mapping[str, str]) -> list[str]:
    return [limit for limit, left in remaining(headers).items() if left == 0]
