"""What a pool's configuration says to the host, as data.

Implements: AH-1006.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ._breaker import BreakerPolicy
from ._retry import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPolicy:
    """How the replicas of one pool are tried, spared and asked.

    `report_s` bounds every question to an adapter (health, props, capabilities), `capabilities_s` is how long an answer
    on capabilities is believed; both in seconds.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    report_s: float = 5.0
    capabilities_s: float = 300.0
