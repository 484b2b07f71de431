"""The tables of a pool that say how its replicas are bounded, tried again, spared and checked.

Implements: AH-1006, OC-CONFIG-6001.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from adapter_host import BreakerPolicy, PoolPolicy, RetryPolicy

from .described import DAY_MS, meta


class TimeoutsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Time bounds for every replica of the pool; a replica's own `settings.timeouts` go before them."""

    connect_ms: Annotated[int, meta("Longest wait for a connection.", ge=1, le=DAY_MS, example=5000)] | None = None
    first_token_ms: (
        Annotated[int, meta("Longest wait for the first token.", ge=1, le=DAY_MS, example=120_000)] | None
    ) = None
    idle_ms: Annotated[int, meta("Longest silence between tokens.", ge=1, le=DAY_MS, example=30_000)] | None = None
    total_ms: Annotated[int, meta("Longest time for a whole request.", ge=1, le=DAY_MS, example=600_000)] | None = None
    health_ms: Annotated[int, meta("Longest wait for a report of health.", ge=1, le=DAY_MS, example=2000)] | None = None

    def given(self) -> dict[str, int]:
        """The bounds that are set."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class RetryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Trying a task again on another replica when one has failed it before its first token."""

    attempts: Annotated[int, meta("Most tries of one task in all; 1 tries none again.", ge=1, le=100, example=3)] = 3
    base_ms: Annotated[
        int, meta("Bound of the pause before the second try; it doubles with each further one.", ge=0, le=DAY_MS)
    ] = 100
    cap_ms: Annotated[int, meta("Longest pause, also where the engine asks for a longer one.", ge=0, le=DAY_MS)] = 2000
    budget: Annotated[
        int, meta("Further tries that the pool may have saved up; 0 allows none.", ge=0, le=1_000_000, example=10)
    ] = 10
    budget_percent: Annotated[
        int, meta("What each task adds to that, in hundredths of a further try.", ge=0, le=100, example=20)
    ] = 20


class BreakerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leaving a replica alone that fails every task."""

    failures: Annotated[
        int, meta("Failures in a row that open the breaker; 0 never opens it.", ge=0, le=1_000_000, example=5)
    ] = 5
    open_ms: Annotated[
        int, meta("How long it stays open at first; twice as long each further time.", ge=1, le=DAY_MS)
    ] = 1000
    cap_ms: Annotated[int, meta("Longest time it stays open.", ge=1, le=DAY_MS)] = 30_000


class HealthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a replica is believed to be down, and when to be back."""

    failures: Annotated[
        int,
        meta(
            "Failed checks in a row that take a replica out of rotation. An engine that says itself that it is not "
            "ready is out at once.",
            ge=1,
            le=1000,
            example=2,
        ),
    ] = 2
    successes: Annotated[int, meta("Good checks in a row that bring it back.", ge=1, le=1000, example=1)] = 1
    timeout_ms: Annotated[
        int, meta("A check that takes longer than this has failed, whatever the adapter's bound.", ge=10, le=DAY_MS)
    ] = 5000
    capabilities_ttl_ms: Annotated[
        int, meta("How long what an engine says it can do is believed.", ge=0, le=DAY_MS, example=300_000)
    ] = 300_000


def policy_of(retry: RetryConfig, breaker: BreakerConfig, health: HealthConfig) -> PoolPolicy:
    """The same as the adapter host takes it."""
    return PoolPolicy(
        retry=RetryPolicy(
            attempts=retry.attempts,
            base_s=retry.base_ms / 1000,
            cap_s=retry.cap_ms / 1000,
            budget=retry.budget,
            share=retry.budget_percent / 100,
        ),
        breaker=BreakerPolicy(failures=breaker.failures, open_s=breaker.open_ms / 1000, cap_s=breaker.cap_ms / 1000),
        report_s=health.timeout_ms / 1000,
        capabilities_s=health.capabilities_ttl_ms / 1000,
    )
