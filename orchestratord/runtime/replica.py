"""One engine behind a pool: how it is, what it can do, who holds its slots, and whether it takes more.

Implements: OC-CORE-1010, OC-CORE-1032, ORCH-3602.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from adapter_api import Capabilities, ReplicaId, WorkerHealth, WorkerProps

if TYPE_CHECKING:
    from adapter_host import Breaker
    from orchestratord.core.hysteresis import Hysteresis

    from .task import Task

UNKNOWN_HEALTH = WorkerHealth(live=False, ready=False, detail="not probed yet")


@dataclass(eq=False, slots=True)
class Replica:
    """One engine as the last checks saw it, and the tasks that hold its slots (task -> held since).

    `misfit` says what sets it apart from the rest of the pool, if anything does. `is_stale` asks for its capabilities
    anew.
    """

    replica_id: ReplicaId
    breaker: Breaker
    checks: Hysteresis
    slots_override: int | None = None
    health: WorkerHealth = UNKNOWN_HEALTH
    props: WorkerProps = field(default_factory=WorkerProps)
    capabilities: Capabilities | None = None
    misfit: str = ""
    is_stale: bool = False
    busy: dict[Task, float] = field(default_factory=dict)
    suspect: trio.Event = field(default_factory=trio.Event)

    @property
    def slots(self) -> int:
        """How many tasks may run here at once: as configured, else as the engine says, else one."""
        told = self.capabilities.concurrency if self.capabilities is not None else None
        return self.slots_override or told or self.props.slots_total or 1

    @property
    def serves(self) -> bool:
        """Whether it is in rotation: healthy, and like the rest of the pool."""
        return self.health.ready and not self.misfit

    @property
    def takes(self) -> bool:
        """Whether a task may go to it, now or when a slot is free."""
        return self.serves and not self.breaker.wait_s

    @property
    def free(self) -> int:
        """How many tasks could start here now."""
        if not self.takes:
            return 0
        free = max(0, self.slots - len(self.busy))
        room = self.breaker.room
        return free if room is None else min(free, room)

    @property
    def why(self) -> str:
        """Why it takes no tasks; empty if it does."""
        if not self.health.ready:
            return self.health.detail or "not ready"
        if self.misfit:
            return self.misfit
        wait_ms = round(1000 * self.breaker.wait_s)
        return f"left alone after failures, for {wait_ms} ms" if wait_ms else ""

    def doubt(self) -> None:
        """Ask for a check at once: a stream has just failed here."""
        self.suspect.set()

    def hear(self, engine_version: str | None) -> None:
        """Take in the version that a stream began with; another one than known means that the engine restarted."""
        if engine_version and self.capabilities and engine_version != self.capabilities.engine_version:
            self.is_stale = True
            self.doubt()
