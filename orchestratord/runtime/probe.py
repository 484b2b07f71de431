"""Asks each replica how it is, so that admission and health answers need no engine call of their own.

A replica whose last check was good is looked at every `probe_interval_ms`; any other at intervals that double from a
quarter of a second up to the same bound, and when its breaker lets the next request through. A stream that fails asks
for a look at once. The adapter host bounds every look in time.

Implements: ORCH-3038, ORCH-3603, OC-CORE-1031, OC-CORE-1032.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import WorkerError, WorkerProps

if TYPE_CHECKING:
    from adapter_api import WorkerHealth
    from adapter_host import AdapterHost
    from orchestratord.telemetry import Telemetry

    from .pool import Pool
    from .replica import Replica

FIRST_RETRY_S = 0.25


@final
class Prober:
    """Keeps every replica's health, props and capabilities fresh."""

    def __init__(self, host: AdapterHost, telemetry: Telemetry) -> None:
        self._host = host
        self._telemetry = telemetry

    async def watch(self, pool: Pool, replica: Replica) -> None:
        """Probe one replica until cancelled."""
        interval_s = pool.config.probe_interval_ms / 1000
        retry_s = FIRST_RETRY_S
        while True:
            if await self.look(pool, replica):
                pause_s, retry_s = interval_s, FIRST_RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, interval_s)
            with trio.move_on_after(min(pause_s, replica.breaker.wait_s or pause_s)):
                await replica.suspect.wait()
            replica.suspect = trio.Event()

    async def look(self, pool: Pool, replica: Replica) -> bool:
        """Probe one replica once and let tasks start if it has become able to take them; False for a bad check."""
        before = replica.health
        told = await self._host.health(pool.pool_id, replica.replica_id)
        health = replica.checks.judge(told)
        if told.ready:
            await self._learn(pool, replica, renew=replica.is_stale or not before.ready)
        if health.ready and not before.ready:
            replica.breaker.end_wait()
        if not health.live:
            replica.props = WorkerProps()  # what a dead engine said of its slots holds no more
        replica.health = health
        if _is_news(health, before):
            self._telemetry.health_changed(pool, replica)
        for odd in pool.settle():
            self._telemetry.replica_refused(pool, odd)
        pool.pump()
        return told.ready

    async def _learn(self, pool: Pool, replica: Replica, *, renew: bool) -> None:
        replica.is_stale = False
        try:
            replica.props = await self._host.props(pool.pool_id, replica.replica_id)
            known = await self._host.capabilities(pool.pool_id, replica.replica_id, renew=renew)
            replica.capabilities = known
        except WorkerError as error:
            replica.is_stale = renew
            replica.props = WorkerProps()
            pool.last_error = error.message


def _is_news(health: WorkerHealth, before: WorkerHealth) -> bool:
    """Whether anybody wants to hear of a change; why a replica that is in rotation was doubted is none."""
    if health.ready and before.ready:
        return health.live is not before.live
    return health != before
