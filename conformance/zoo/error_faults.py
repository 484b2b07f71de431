"""Broken errors: of no known kind, in groups, with wrong advice, too late for what has no end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    AdapterError,
    End,
    InternalError,
    PoolUnavailable,
    TokenEvent,
    WorkerError,
    WorkerReset,
)

from .animals import Mutant
from .plain.answer import Answer
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskRequest, WorkerAdapter, WorkerProps

    from .wrapper import Events, Surroundings


class _EngineBusy(PoolUnavailable):
    """An error of a seventh kind."""

    kind = "EngineBusy"


class InventsAKindOfError(Stream):
    """Reports a lack of room as an error of a kind of its own."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise _EngineBusy(error.message) if isinstance(error, PoolUnavailable) else error


class RaisesTheBaseClass(Stream):
    """Raises the base class of all errors where nobody can name the reason."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise WorkerError(error.message) if isinstance(error, InternalError) else error


class _LateReset(WorkerReset):
    """An error whose class says one thing and its kind another."""

    kind = "DecodeTimeout"


class SaysAnotherKindThanItsClass(Stream):
    """Tells another kind than its class has, only for a connection that broke after a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        is_late = isinstance(error, WorkerReset) and self.tokens
        raise _LateReset(error.message, upstream_status=error.upstream_status) if is_late else error


class _FailedAt(Wrapper):
    """Knows when a stream of it has failed last."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings, stream_type: type[Stream] = Stream) -> None:
        super().__init__(inner, around, stream_type)
        self.failed_s: float | None = None


class _GroupedWithAnother(Stream):
    adapter: _FailedAt

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        now_s, before_s = trio.current_time(), self.adapter.failed_s
        self.adapter.failed_s = now_s
        raise ExceptionGroup("streams", [error]) if now_s == before_s else error


class GroupsFailuresOfOneTick(_FailedAt):
    """Raises a group for the second stream that fails in one tick."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _GroupedWithAnother)


class GroupsItsReports(Wrapper):
    """Raises a group when the engine goes away under a report."""

    async def props(self) -> WorkerProps:
        try:
            return await self.inner.props()
        except WorkerError as error:
            raise ExceptionGroup("props", [error]) from None


class GroupsACancellation(Stream):
    """Raises an error along with the cancellation of its caller, once there was a token."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except trio.Cancelled as canceled:
            if not self.tokens:
                raise
            errors = [canceled, WorkerReset("stream: the consumer has left")]
            raise BaseExceptionGroup("stream", errors) from None  # noqa: ASYNC104 - this is the fault


class _Advises(Wrapper):
    """Changes what is told with a refusal."""

    def advise(self, error: WorkerError) -> int | None:
        """Return the advice that is told."""
        raise NotImplementedError

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with super().stream(request) as events:
                yield events
        except WorkerError as error:
            error.retry_after_ms = self.advise(error)
            raise


class TellsSecondsAsMilliseconds(_Advises):
    """Tells advice of whole seconds as so many milliseconds."""

    def advise(self, error: WorkerError) -> int | None:
        advice_ms = error.retry_after_ms
        return advice_ms // 1000 if advice_ms and advice_ms % 1000 == 0 else advice_ms


class MakesUpAdvice(_Advises):
    """Tells to come back in a second where the engine says nothing that makes sense."""

    def advise(self, error: WorkerError) -> int | None:
        return 1000 if error.retriable and error.retry_after_ms is None else error.retry_after_ms


class KeepsAdviceOfOneStatus(_Advises):
    """Looks for advice on every status but one."""

    def advise(self, error: WorkerError) -> int | None:
        return None if error.upstream_status == 503 else error.retry_after_ms


class ReadsOnBeforeItFails(Stream):
    """Waits for the end of what is too long before it fails, once there was a token."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except AdapterError as error:
            failure = error
        await trio.sleep(1.0 if self.tokens else 0.0)
        raise failure


class CallsTheEndlessInternal(Stream):
    """Reports as an internal error what is too long before the first token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        is_early = isinstance(error, AdapterError) and not self.tokens and error.upstream_status is None
        raise InternalError(error.message) if is_early else error


class EndsWhatHasNoEnd(Stream):
    """Takes what it has for the whole answer when an event of many lines is too long."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, AdapterError) and self.tokens == 1:
            return (End(tokens_out=self.tokens, decode_time_ms=0),)
        raise error


class ReadsHalfAnEvent(Answer):
    """Blames the engine's protocol for an event that broke off in its middle."""

    async def more(self) -> None:
        await super().more()
        if isinstance(self.failure, WorkerReset) and self.reader.rest:
            self.failure = AdapterError("reading the answer: an event is no JSON")


MUTANTS: tuple[Mutant, ...] = (
    Mutant(InventsAKindOfError, "ERR-02"),
    Mutant(RaisesTheBaseClass, "ERR-02"),
    Mutant(SaysAnotherKindThanItsClass, "ERR-02"),
    Mutant(GroupsFailuresOfOneTick, "ERR-08"),
    Mutant(GroupsItsReports, "ERR-08", "llamacpp"),
    Mutant(GroupsACancellation, "ERR-08"),
    Mutant(TellsSecondsAsMilliseconds, "ERR-09", "llamacpp"),
    Mutant(MakesUpAdvice, "ERR-09", "vllm"),
    Mutant(KeepsAdviceOfOneStatus, "ERR-09", "openai"),
    Mutant(ReadsOnBeforeItFails, "ERR-10", "llamacpp"),
    Mutant(CallsTheEndlessInternal, "ERR-10", "vllm"),
    Mutant(EndsWhatHasNoEnd, "ERR-10", "llamacpp"),
    Mutant(ReadsHalfAnEvent, "FRM-13", "plain"),
)
