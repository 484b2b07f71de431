"""Which adapter serves which replica, and who still uses it.

A rebind replaces one entry in one step: callers that come later get the new adapter, streams in flight keep the lease
on the one they began on. Whoever opened an adapter waits for `Binding.wait_unused` before closing it.

Implements: AH-1001.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import trio

from ._notes import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter_api import Capabilities, PoolId, ReplicaId, WorkerAdapter


class NotBound(LookupError):
    """No adapter is bound under this pool, or pool and replica."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an engine said it can do, and when it did."""

    capabilities: Capabilities
    at: float


@final
class Binding:
    """One adapter bound to one replica, with the number of streams that hold it and what it said it can do."""

    def __init__(self, pool_id: PoolId, replica_id: ReplicaId, engine: str, adapter: WorkerAdapter) -> None:
        self.pool_id = pool_id
        self.replica_id = replica_id
        self.engine = engine
        self.adapter = adapter
        self.known: Known | None = None
        self._leases = 0
        self._unused = trio.Event()
        self._unused.set()

    def __repr__(self) -> str:
        return f"<Binding {self.pool_id}/{self.replica_id} {self.engine} leases={self._leases}>"

    @property
    def place(self) -> Place:
        """Where this is, for notes."""
        return Place(self.engine, self.pool_id, self.replica_id)

    @contextmanager
    def lease(self) -> Iterator[WorkerAdapter]:
        """Hold the adapter for one stream."""
        if not self._leases:
            self._unused = trio.Event()
        self._leases += 1
        try:
            yield self.adapter
        finally:
            self._leases -= 1
            if not self._leases:
                self._unused.set()

    async def wait_unused(self) -> None:
        """Wait until no stream holds the adapter."""
        await self._unused.wait()

    def remember(self, capabilities: Capabilities, now: float) -> None:
        """Keep what the engine said."""
        self.known = Known(capabilities, now)

    def forget(self) -> None:
        """Let the engine be asked again: it may have restarted."""
        self.known = None


@final
class Registry:
    """(pool, replica) -> binding, in the order of binding."""

    def __init__(self) -> None:
        self._bindings: dict[tuple[PoolId, ReplicaId], Binding] = {}

    def bind(self, binding: Binding) -> Binding | None:
        """Put the binding in place; return the one it replaces, whose streams go on."""
        key = (binding.pool_id, binding.replica_id)
        replaced = self._bindings.get(key)
        self._bindings[key] = binding
        return replaced

    def unbind(self, binding: Binding) -> None:
        """Take the binding away, unless another has replaced it since."""
        key = (binding.pool_id, binding.replica_id)
        if self._bindings.get(key) is binding:
            del self._bindings[key]

    def replica(self, pool_id: PoolId, replica_id: ReplicaId) -> Binding:
        """Return the binding of this replica; raise `NotBound`."""
        try:
            return self._bindings[pool_id, replica_id]
        except KeyError:
            raise NotBound(f"no adapter is bound to {pool_id}/{replica_id}") from None

    def pool(self, pool_id: PoolId) -> list[Binding]:
        """Return the bindings of this pool; raise `NotBound` if there is none."""
        bindings = [binding for binding in self._bindings.values() if binding.pool_id == pool_id]
        if not bindings:
            raise NotBound(f"no adapter is bound to pool {pool_id}")
        return bindings

    def engine(self, pool_id: PoolId) -> str:
        """Return the name of the pool's engine, for notes."""
        return next((each.engine for each in self._bindings.values() if each.pool_id == pool_id), "an engine")
