"""One stream on its way from an adapter to the service, held to the contract.

Whatever an adapter does, what leaves here is a legal order of events or one `WorkerError`: a terminal `error` event, a
raised `WorkerError`, an end without a terminal event, a broken order and an exception of any other kind all become a
raised `WorkerError`. Once the stream is sealed by a cancel the adapter is not asked again: what passes is the canceled
end, after a `started` if there was none.

Implements: AH-1004, AH-1005, ADAPT-3002, ADAPT-3010.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, final, runtime_checkable

from adapter_api import (
    End,
    Failed,
    FinishReason,
    FrameOrder,
    InternalError,
    OrderState,
    OrderViolation,
    Started,
    Token,
    WorkerError,
    WorkerReset,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from adapter_api import TokenEvent

    Redact = Callable[[str], str]


@runtime_checkable
class ReadsAhead(Protocol):
    """What an adapter's iterator may offer beyond the contract: how many events it gives without waiting."""

    @property
    def at_hand(self) -> int:
        """How many events have left the engine and not the adapter."""


@final
class HostedStream:
    """An iterator over the events of one submit; it ends after `End`, a failure is raised.

    `on_event` is told every event but the tokens after the first. `ended` is the `End` that came, `order` where the
    stream stands.
    """

    def __init__(
        self, events: AsyncIterator[TokenEvent], redact: Redact, on_event: Callable[[TokenEvent], None]
    ) -> None:
        self.order = FrameOrder()
        self.ended: End | None = None
        self._events = events
        self._reads_ahead = events if isinstance(events, ReadsAhead) else None
        self._redact = redact
        self._on_event = on_event
        self._sealed = False

    def __repr__(self) -> str:
        return f"<HostedStream {self.order!r} sealed={self._sealed}>"

    def __aiter__(self) -> HostedStream:
        return self

    @property
    def at_hand(self) -> int:
        """How many events have left the engine and wait in the adapter; 0 if it does not tell."""
        return 0 if self._reads_ahead is None else self._reads_ahead.at_hand

    async def __anext__(self) -> TokenEvent:
        if self.order.is_done:
            raise StopAsyncIteration
        if self._sealed:
            return self._stopped(None)
        try:
            event = await self._events.__anext__()
            if not self._sealed:
                self.order.accept(event)
        except Exception as error:  # the boundary: nothing but WorkerError may pass it (ADAPT-3002)
            if self._sealed:
                return self._stopped(None)
            self.order.seal()
            failure = as_worker_error(error, self._redact)
            if failure is error:
                raise
            raise failure from error
        if self._sealed:
            return self._stopped(event)
        return event if type(event) is Token and event.i else self._noted(event)

    def seal(self) -> bool:
        """Let no further token pass and no failure either; the stream ends as canceled. False if it was over."""
        if self.order.is_done or self._sealed:
            return False
        self._sealed = True
        return True

    def _noted(self, event: TokenEvent) -> TokenEvent:
        if type(event) is Failed:
            raise as_worker_error(event.error, self._redact)
        if type(event) is Started and event.engine_version is not None:  # it is the engine's own word
            event = replace(event, engine_version=self._redact(event.engine_version))
        if type(event) is End:
            self.ended = event
        self._on_event(event)
        return event

    def _stopped(self, event: TokenEvent | None) -> TokenEvent:
        """Return what a sealed stream still gives: `started` if it has not passed, then the canceled end."""
        if self.order.state is OrderState.IDLE:
            started = event if type(event) is Started else Started()
            self.order.accept(started)
            return self._noted(started)
        self.order.seal()
        self.ended = End(
            tokens_out=self.order.tokens, decode_time_ms=0, finish_reason=FinishReason.CANCELED, canceled=True
        )
        self._on_event(self.ended)
        return self.ended


@contextmanager
def only_worker_errors(redact: Redact) -> Iterator[None]:
    """Let no error but `WorkerError` out of the block."""
    try:
        yield
    except Exception as error:
        failure = as_worker_error(error, redact)
        if failure is error:
            raise
        raise failure from error


def as_worker_error(error: Exception, redact: Redact) -> WorkerError:
    """Return the one `WorkerError` that stands for whatever an adapter raised, its message redacted."""
    if isinstance(error, ExceptionGroup):
        named = error.subgroup(WorkerError)
        return as_worker_error((named or error).exceptions[0], redact)
    if isinstance(error, WorkerError):
        error.message = redact(error.message)
        error.args = (error.message,)
        return error
    if isinstance(error, StopAsyncIteration):
        return WorkerReset("the stream ended without an end marker")
    if isinstance(error, OrderViolation):
        return InternalError(f"the adapter broke the frame order: {error}")
    return InternalError(redact(f"the adapter raised {type(error).__name__}: {error}"))


def stopped_stream() -> HostedStream:
    """Return what is read of a request that was stopped while no engine had it: `started`, and the canceled end."""
    stream = HostedStream(_Nothing(), str, lambda _: None)
    stream.seal()
    return stream


@final
class _Nothing:
    """The events of no engine."""

    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> TokenEvent:
        raise StopAsyncIteration
