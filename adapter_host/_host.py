"""The facade between the service and every adapter in the process.

The host looks up the binding, passes the correlation id on, holds every stream to the contract, tries a request again
where that may help, and tells what happens. It does not queue, does not choose between pools, holds no slots and opens
no adapter: the composition root does.

Implements: AH-1001, AH-1002, AH-1003, AH-1004, AH-1005, ORCH-3602, ORCH-3604.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, final

from adapter_api import PoolUnavailable, WorkerError

from ._answer import Stop, TimeLeft, Tries
from ._notes import Action, Place, note
from ._pools import Pools
from ._registry import Binding, NotBound, Registry
from ._reports import capabilities_of, health_of, props_of
from ._stream import stopped_stream
from ._submit import Streams, let_through

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping

    from adapter_api import (
        Capabilities,
        CorrelationId,
        PoolId,
        ReplicaId,
        TaskId,
        TaskRequest,
        WorkerAdapter,
        WorkerHealth,
        WorkerProps,
    )

    from ._answer import Seat
    from ._breaker import Breaker, Trial
    from ._notes import Observer
    from ._policy import PoolPolicy
    from ._stream import HostedStream, Redact

    Take = Callable[[HostedStream], Awaitable[None]]


@final
class AdapterHost:
    """Routes calls to the adapter that is bound at this moment."""

    def __init__(
        self,
        *,
        observe: Observer,
        redact: Redact,
        new_correlation_id: Callable[[], CorrelationId],
        policies: Mapping[PoolId, PoolPolicy] | None = None,
        random01: Callable[[], float] = random.random,
    ) -> None:
        self._registry = Registry()
        self._pools = Pools(policies or {}, random01, observe)
        self._streams = Streams(observe, redact)
        self._stops: dict[tuple[PoolId, TaskId], Stop] = {}
        self._random01 = random01
        self._observe = observe
        self._redact = redact
        self._new_correlation_id = new_correlation_id

    def bind(self, pool_id: PoolId, replica_id: ReplicaId, engine: str, adapter: WorkerAdapter) -> Binding:
        """Make `adapter` the one that serves the replica from now on; streams in flight finish where they began.

        What was known of the old one is forgotten with it: its capabilities, and what its breaker held against it.
        """
        binding = Binding(pool_id, replica_id, engine, adapter)
        self._registry.bind(binding)
        self.breaker(pool_id, replica_id).reset()
        return binding

    def unbind(self, binding: Binding) -> None:
        """Stop routing to this binding; a newer one under the same name stays."""
        self._registry.unbind(binding)

    def breaker(self, pool_id: PoolId, replica_id: ReplicaId) -> Breaker:
        """Return the replica's breaker, the same one for as long as the host lives."""
        return self._pools.breaker(pool_id, replica_id)

    @asynccontextmanager
    async def submit(
        self,
        pool_id: PoolId,
        request: TaskRequest,
        *,
        replica_id: ReplicaId | None = None,
        trial: Trial | None = None,
    ) -> AsyncGenerator[HostedStream, None]:
        """Hand the request to a replica of the pool (the first by default) and yield its stream: one try, no more.

        Raises `NotBound` for an unknown pool, and `WorkerError` from the entry, the iteration and the exit; without a
        `trial` from the replica's breaker, one that is open refuses it at once. Leaving the block closes the engine's
        side before it returns, also under cancellation.
        """
        binding = self._binding(pool_id, replica_id)
        trial = trial or let_through(self.breaker(pool_id, binding.replica_id))
        async with self._streams.submit(binding, self._with_correlation_id(request), trial) as stream:
            yield stream

    async def answer(self, pool_id: PoolId, request: TaskRequest, seat: Seat, take: Take) -> None:
        """Have `take` read the answer to the request, from the replica of the seat or, if need be, from others.

        A try that fails before its first token is followed by one on another replica, after a pause, while the pool's
        policy and budget allow it. Raises `WorkerError`, and what `take` raises. Cancelled leaves at once, with the
        engine's side closed.
        """
        time_left = TimeLeft(self._with_correlation_id(request))
        tries = Tries(self._pools.policy(pool_id).retry, self._pools.budget(pool_id), self._random01)
        with self._stoppable(pool_id, request.task_id) as stop:
            while not await self._try(pool_id, time_left.request(), seat, take, tries):
                pause_s = tries.pause_s(seat)
                self._tell_retry(pool_id, time_left.request(), seat, tries.failures[-1], pause_s)
                if await stop.move(seat, tries, pause_s):
                    continue
                if not stop.is_set:
                    raise tries.outcome()
                await take(stopped_stream())
                return

    async def cancel(self, pool_id: PoolId, task_id: TaskId) -> bool:
        """Stop a request: no token passes after this returns. False if there was nothing to stop.

        The stream is sealed before the adapter is asked, so that a hung adapter can delay the acknowledgement by
        `CANCEL_BOUND_S` at most, and cannot let a token through. Cancelled leaves the request stopped.
        """
        stop = self._stops.get((pool_id, task_id))
        if stop is not None:
            stop.set()
        sealed = await self._streams.cancel(pool_id, task_id)
        return stop is not None if sealed is None else sealed

    async def abort(self, pool_id: PoolId, task_id: TaskId) -> None:
        """Do the same for a stream that is being left anyway, if its engine has a cancel call of its own.

        Leaving closes the connection; an engine of the mode `ABORT` is to be told as well.
        """
        if self._streams.has_abort(pool_id, task_id):
            await self.cancel(pool_id, task_id)

    async def health(self, pool_id: PoolId, replica_id: ReplicaId | None = None) -> WorkerHealth:
        """Ask the adapter for its engine's health; whatever goes wrong is a report, not an error."""
        find = partial(self._binding, pool_id, replica_id)
        return await health_of(find, self._redact, self._pools.policy(pool_id).report_s)

    async def props(self, pool_id: PoolId, replica_id: ReplicaId | None = None) -> WorkerProps:
        """Ask the adapter for its engine's capacity. Raises `WorkerError`."""
        find = partial(self._binding, pool_id, replica_id)
        return await props_of(find, self._redact, self._pools.policy(pool_id).report_s)

    async def capabilities(
        self, pool_id: PoolId, replica_id: ReplicaId | None = None, *, renew: bool = False
    ) -> Capabilities:
        """Return what the engine serves; `renew` asks it again, whatever is remembered. Raises `WorkerError`."""
        find = partial(self._binding, pool_id, replica_id)
        policy = self._pools.policy(pool_id)
        return await capabilities_of(find, self._redact, policy.report_s, policy.capabilities_s, renew=renew)

    async def _try(self, pool_id: PoolId, request: TaskRequest, seat: Seat, take: Take, tries: Tries) -> bool:
        """Try once; False after a failure that no client has seen anything of, which is then in `tries`."""
        stream: HostedStream | None = None
        try:
            async with self.submit(pool_id, request, replica_id=seat.replica_id, trial=seat.trial) as stream:
                await take(stream)
        except NotBound as error:
            tries.failed(seat, PoolUnavailable(str(error)))
            return False
        except WorkerError as error:
            if stream is not None and (stream.order.tokens or stream.ended is not None):
                raise
            tries.failed(seat, error)
            return False
        return True

    def _tell_retry(
        self, pool_id: PoolId, request: TaskRequest, seat: Seat, error: WorkerError, pause_s: float
    ) -> None:
        place = Place(self._registry.engine(pool_id), pool_id, seat.replica_id)
        told = {"error_kind": error.kind, "retry_after_ms": error.retry_after_ms, "backoff_ms": round(1000 * pause_s)}
        self._observe(note(Action.RETRY, place, request, error.message, **told))

    @contextmanager
    def _stoppable(self, pool_id: PoolId, task_id: TaskId) -> Iterator[Stop]:
        """Let `cancel` find the request also while no engine has it."""
        stop = self._stops[pool_id, task_id] = Stop()
        try:
            yield stop
        finally:
            if self._stops.get((pool_id, task_id)) is stop:
                del self._stops[pool_id, task_id]

    def _with_correlation_id(self, request: TaskRequest) -> TaskRequest:
        return replace(request, correlation_id=request.correlation_id or self._new_correlation_id())

    def _binding(self, pool_id: PoolId, replica_id: ReplicaId | None) -> Binding:
        if replica_id is None:
            return self._registry.pool(pool_id)[0]
        return self._registry.replica(pool_id, replica_id)
