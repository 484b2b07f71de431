"""How long to wait before the next try: exponential, capped, full jitter.

Pure: the random number is an argument, so a seed replays a whole run of delays. Which calls may be tried again is
decided by `calls.py`, not here.

Implements: HTU-1002.
"""

from __future__ import annotations

from dataclasses import dataclass

_LARGEST_EXPONENT = 64
"""Past every cap in use, and short of the float range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `attempts` tries in all; the delay after try n is uniform in [0, min(cap_s, base_s * multiplier**n)]."""

    base_s: float = 0.1
    multiplier: float = 2.0
    cap_s: float = 2.0
    attempts: int = 4

    def delay(self, n: int, random01: float, retry_after_s: float | None = None) -> float:
        """Return the seconds to wait after failed try `n` (from 0); `random01` is in [0, 1).

        A server's own advice is a lower bound, itself cut at `cap_s`.
        """
        jittered = random01 * min(self.cap_s, self.base_s * self.multiplier ** min(n, _LARGEST_EXPONENT))
        advised = min(self.cap_s, max(0.0, retry_after_s or 0.0))
        return max(jittered, advised)
