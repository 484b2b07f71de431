"""Asks each replica how it is, so that admission and health answers need no engine call of their own.

A ready replica is looked at every `probe_interval_ms`; one that is not, at intervals that double from a quarter of a
second up to the same bound. A stream that fails asks for a look at once.

Implements: ORCH-3038, ORCH-3603.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import WorkerError, WorkerProps

if TYPE_CHECKING:
    from adapter_host import AdapterHost
    from orchestratord.telemetry import Telemetry

    from .pool import Pool, Replica

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
            await self.look(pool, replica)
            if replica.health.ready:
                pause_s, retry_s = interval_s, FIRST_RETRY_S
            else:
                pause_s, retry_s = retry_s, min(2 * retry_s, interval_s)
            with trio.move_on_after(pause_s):
                await replica.suspect.wait()
            replica.suspect = trio.Event()

    async def look(self, pool: Pool, replica: Replica) -> None:
        """Probe one replica once and let tasks start if it has become able to take them."""
        before = replica.health
        health = await self._host.health(pool.pool_id, replica.replica_id)
        if health.ready:
            await self._learn(pool, replica, renew=not before.ready)
        replica.health = health
        if health != before:
            self._telemetry.health_changed(pool, replica)
        pool.pump()

    async def _learn(self, pool: Pool, replica: Replica, *, renew: bool) -> None:
        try:
            replica.props = await self._host.props(pool.pool_id, replica.replica_id)
            if renew or replica.capabilities is None:
                replica.capabilities = await self._host.capabilities(pool.pool_id, replica.replica_id, renew=renew)
        except WorkerError as error:
            replica.props = WorkerProps()
            pool.last_error = error.message
