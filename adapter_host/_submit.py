"""The streams that are under way: one try each, found again by whoever cancels it.

Implements: AH-1003, AH-1004, AH-1005, ORCH-3604.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, final

import trio

from adapter_api import CancelMode, PoolUnavailable

from ._notes import Action, note
from ._quotes import discreet
from ._stream import HostedStream, as_worker_error
from ._teller import Teller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from adapter_api import PoolId, TaskId, TaskRequest

    from ._breaker import Breaker, Trial
    from ._notes import Observer
    from ._registry import Binding
    from ._stream import Redact

CANCEL_BOUND_S = 1.0
"""How long `cancel` waits for an adapter, in seconds."""


@final
class Streams:
    """(pool, task) -> its stream, for as long as it is open."""

    def __init__(self, observe: Observer, redact: Redact) -> None:
        self._open: dict[tuple[PoolId, TaskId], tuple[HostedStream, Binding, TaskRequest]] = {}
        self._observe = observe
        self._redact = redact

    def __len__(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def submit(self, binding: Binding, request: TaskRequest, trial: Trial) -> AsyncGenerator[HostedStream, None]:
        """Hand the request to the adapter and yield its stream; what the host's `submit` promises."""
        redact = discreet(self._redact, request)
        teller = Teller(self._observe, binding.place, request, trial)
        left: BaseException | None = None
        teller.tell(Action.SUBMIT)
        try:
            with binding.lease() as adapter:
                async with adapter.submit(request) as events:
                    stream = HostedStream(events, redact, teller.see)
                    with self._listed(stream, binding, request):
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

    def has_abort(self, pool_id: PoolId, task_id: TaskId) -> bool:
        """Whether a stream is open under this id whose engine has a cancel call of its own."""
        found = self._open.get((pool_id, task_id))
        return found is not None and found[1].adapter.cancel_support.mode is CancelMode.ABORT

    async def cancel(self, pool_id: PoolId, task_id: TaskId) -> bool | None:
        """Seal the stream, then ask its adapter, for a bounded time; None if no stream is open under this id."""
        found = self._open.get((pool_id, task_id))
        if found is None:
            return None
        stream, binding, request = found
        sealed = stream.seal()
        try:
            with trio.move_on_after(CANCEL_BOUND_S):
                await binding.adapter.cancel(task_id)
        except Exception as error:  # noqa: BLE001 - the stream is sealed: a bad adapter must not spoil the cancel
            failure = as_worker_error(error, discreet(self._redact, request))
            self._observe(note(Action.ERROR, binding.place, request, failure.message, error_kind=failure.kind))
        return sealed

    @contextmanager
    def _listed(self, stream: HostedStream, binding: Binding, request: TaskRequest) -> Iterator[None]:
        """Let `cancel` find the stream; under an id that is used twice it finds the newest."""
        key = (binding.pool_id, request.task_id)
        entry = self._open[key] = stream, binding, request
        try:
            yield
        finally:
            if self._open.get(key) is entry:
                del self._open[key]


def let_through(breaker: Breaker) -> Trial:
    """Return a trial of the breaker; raise `PoolUnavailable` with the time to wait if it is open."""
    trial = breaker.begin()
    if trial is None:
        wait_ms = max(1, round(1000 * breaker.wait_s))
        raise PoolUnavailable("the replica has failed again and again and is left alone", retry_after_ms=wait_ms)
    return trial
