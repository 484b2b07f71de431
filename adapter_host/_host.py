"""The facade between the service and every adapter in the process.

The host looks up the binding, passes the correlation id on, holds every stream to the contract and tells what happens.
It does not queue, does not choose between pools and opens no adapter: the composition root does.

Implements: AH-1001, AH-1002, AH-1003, AH-1004, AH-1005, ORCH-3604.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, final

import trio

from adapter_api import End, Started, WorkerError, WorkerHealth

from ._notes import Action, note
from ._quotes import discreet
from ._registry import Binding, Registry
from ._stream import HostedStream, as_worker_error, only_worker_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from adapter_api import (
        Capabilities,
        CorrelationId,
        PoolId,
        ReplicaId,
        TaskId,
        TaskRequest,
        TokenEvent,
        WorkerAdapter,
        WorkerProps,
    )

    from ._notes import Observer
    from ._stream import Redact

CANCEL_BOUND_S = 1.0
"""How long `cancel` waits for an adapter, in seconds."""


@final
class AdapterHost:
    """Routes calls to the adapter that is bound at this moment."""

    def __init__(self, *, observe: Observer, redact: Redact, new_correlation_id: Callable[[], CorrelationId]) -> None:
        self._registry = Registry()
        self._streams: dict[tuple[PoolId, TaskId], tuple[HostedStream, WorkerAdapter]] = {}
        self._observe = observe
        self._redact = redact
        self._new_correlation_id = new_correlation_id

    def bind(self, pool_id: PoolId, replica_id: ReplicaId, engine: str, adapter: WorkerAdapter) -> Binding:
        """Make `adapter` the one that serves the replica from now on; streams in flight finish where they began."""
        binding = Binding(pool_id, replica_id, engine, adapter)
        self._registry.bind(binding)
        return binding

    def unbind(self, binding: Binding) -> None:
        """Stop routing to this binding; a newer one under the same name stays."""
        self._registry.unbind(binding)

    @asynccontextmanager
    async def submit(
        self, pool_id: PoolId, request: TaskRequest, *, replica_id: ReplicaId | None = None
    ) -> AsyncGenerator[HostedStream, None]:
        """Hand the request to a replica of the pool (the first by default) and yield its stream.

        Raises `NotBound` for an unknown pool, and `WorkerError` from the entry, the iteration and the exit. Leaving the
        block closes the engine's side before it returns, also under cancellation.
        """
        binding = self._binding(pool_id, replica_id)
        request = replace(request, correlation_id=request.correlation_id or self._new_correlation_id())
        redact = discreet(self._redact, request)
        teller = _Teller(self._observe, binding, request)
        left: BaseException | None = None
        teller.tell(Action.SUBMIT)
        try:
            with binding.lease() as adapter:
                async with adapter.submit(request) as events:
                    stream = HostedStream(events, redact, teller.see)
                    with self._listed(pool_id, request.task_id, stream, adapter):
                        try:
                            yield stream
                        except BaseException as error:
                            left = error
                            raise
            if left is not None:
                raise left  # the adapter's exit has swallowed it
        except (Exception, BaseExceptionGroup) as error:
            outcome = teller.outcome(error, left, redact)
            if outcome is error:
                raise
            raise outcome from error
        finally:
            teller.close()

    async def cancel(self, pool_id: PoolId, task_id: TaskId) -> bool:
        """Stop a stream: no token passes after this returns. False if there was nothing to stop.

        The stream is sealed before the adapter is asked, so that a hung adapter can delay the acknowledgement by
        `CANCEL_BOUND_S` at most, and cannot let a token through. Cancelled leaves the stream sealed.
        """
        found = self._streams.get((pool_id, task_id))
        if found is None:
            return False
        stream, adapter = found
        sealed = stream.seal()
        with trio.move_on_after(CANCEL_BOUND_S):
            await adapter.cancel(task_id)
        return sealed

    async def health(self, pool_id: PoolId, replica_id: ReplicaId | None = None) -> WorkerHealth:
        """Ask the adapter for its engine's health; whatever goes wrong is a report, not an error."""
        try:
            health = await self._binding(pool_id, replica_id).adapter.health()
            return replace(health, detail=self._redact(health.detail))
        except Exception as error:  # noqa: BLE001 - an adapter that breaks its contract must not take the prober down
            return WorkerHealth(live=False, ready=False, detail=as_worker_error(error, self._redact).message)

    async def props(self, pool_id: PoolId, replica_id: ReplicaId | None = None) -> WorkerProps:
        """Ask the adapter for its engine's capacity. Raises `WorkerError`."""
        with only_worker_errors(self._redact):
            return await self._binding(pool_id, replica_id).adapter.props()

    async def capabilities(self, pool_id: PoolId, replica_id: ReplicaId | None = None) -> Capabilities:
        """Ask the adapter what its engine serves. Raises `WorkerError`."""
        with only_worker_errors(self._redact):
            known = await self._binding(pool_id, replica_id).adapter.capabilities()
            return replace(known, engine_version=self._redact(known.engine_version))

    @contextmanager
    def _listed(self, pool_id: PoolId, task_id: TaskId, stream: HostedStream, adapter: WorkerAdapter) -> Iterator[None]:
        """Let `cancel` find the stream; under an id that is used twice it finds the newest."""
        entry = self._streams[pool_id, task_id] = stream, adapter
        try:
            yield
        finally:
            if self._streams.get((pool_id, task_id)) is entry:
                del self._streams[pool_id, task_id]

    def _binding(self, pool_id: PoolId, replica_id: ReplicaId | None) -> Binding:
        if replica_id is None:
            return self._registry.pool(pool_id)[0]
        return self._registry.replica(pool_id, replica_id)


@final
class _Teller:
    """Tells the observer how one stream goes; the last note says how it ended, whoever ended it."""

    def __init__(self, observe: Observer, binding: Binding, request: TaskRequest) -> None:
        self._observe = observe
        self._binding = binding
        self._request = request
        self._is_over = False

    def tell(self, action: Action, error: str = "", **fields: str | int | bool | None) -> None:
        self._observe(note(action, self._binding, self._request, error, **fields))

    def see(self, event: TokenEvent) -> None:
        if type(event) is Started:
            self.tell(
                Action.STREAM_START,
                engine_version=event.engine_version,
                model_digest=event.model_digest,
                seed=event.seed,
                tokens_in=event.tokens_in,
            )
        elif type(event) is End:
            self._is_over = True
            action = Action.CANCEL if event.canceled else Action.STREAM_END
            self.tell(action, tokens_out=event.tokens_out, decode_time_ms=event.decode_time_ms)

    def outcome(self, error: BaseException, left: BaseException | None, redact: Redact) -> BaseException:
        """Return the one exception that leaves: `error` came out of the adapter, `left` ended the caller's block.

        The caller's own errors and Cancelled go on as they are, whatever the adapter's clean-up adds to them; that is
        told and goes no further. All else becomes a `WorkerError`.
        """
        foreign = _without_cancelled(error, left)
        if foreign is not None and not isinstance(foreign, Exception):
            return error  # an interrupt of the process is nobody's to translate
        if isinstance(left, WorkerError):
            return self._failed(as_worker_error(left, redact))
        cancelled = error.subgroup(trio.Cancelled) if isinstance(error, BaseExceptionGroup) else None
        if foreign is None:
            return left or error
        failure = self._failed(as_worker_error(foreign, redact))
        return left or cancelled or failure

    def _failed(self, error: WorkerError) -> WorkerError:
        self._is_over = True
        self.tell(Action.ERROR, error.message, error_kind=error.kind, retry_after_ms=error.retry_after_ms)
        return error

    def close(self) -> None:
        """Tell the cancel of a block that was left before its stream was over."""
        if not self._is_over:
            self.tell(Action.CANCEL)


def _without_cancelled(error: BaseException, left: BaseException | None) -> BaseException | None:
    """Return what of `error` is neither Cancelled nor `left`."""
    group = error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup("", [error])
    return group.subgroup(lambda each: not isinstance(each, BaseExceptionGroup | trio.Cancelled) and each is not left)
