"""Broken failures: wrong kinds, wrong flags, foreign exceptions, swallowed cancellations, lost tokens, leaks."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    Failed,
    InternalError,
    PoolUnavailable,
    TaskId,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskRequest, WorkerAdapter, WorkerProps

    from .wrapper import Events, Surroundings


class LetsForeignErrorsOut(Stream):
    """Lets a KeyError out, only when the engine fails after a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if self.tokens:
            raise KeyError("choices") from error
        raise error


class SwallowsCancelled(Stream):
    """Turns a cancellation of its caller into an error of the engine."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except trio.Cancelled:  # noqa: ASYNC103 - swallowing it is the fault
            return Failed(WorkerReset("stream: canceled"))  # noqa: ASYNC104 - see above


class MapsToTheWrongKind(Stream):
    """Reports a lack of room as a fault of the request."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise AdapterError(error.message, retriable=True) if isinstance(error, PoolUnavailable) else error


class ForbidsOneRetry(Stream):
    """Says of one kind of error that it may not be tried again."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise PoolUnavailable(error.message, retriable=False) if isinstance(error, PoolUnavailable) else error


class CallsSilenceInternal(Stream):
    """Reports a time-out as an internal error."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise InternalError(error.message) if isinstance(error, DecodeTimeout) else error


class SaysTooLittle(Stream):
    """Leaves the engine's words out of its errors."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise type(error)("completion failed", retriable=error.retriable, blames_request=error.blames_request)


class WaitsForEver(Stream):
    """Has no bound on silence after the first token."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except DecodeTimeout:
            if not self.tokens:
                raise
        await trio.sleep_forever()
        raise StopAsyncIteration


class CountsTheConsumersTime(Stream):
    """Takes a consumer that is busy for a silent engine."""

    given_s: float | None = None

    async def __anext__(self) -> TokenEvent:
        idle_s = self.adapter.around.idle_s
        if idle_s and self.given_s is not None and trio.current_time() - self.given_s > idle_s:
            raise DecodeTimeout("stream: silent for too long")
        event = await super().__anext__()
        self.given_s = trio.current_time()
        return event


class FailsTwice(Stream):
    """Gives an `error` event and then raises as well, only for failures that may be tried again."""

    failed: WorkerError | None = None

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if not error.retriable:
            raise error
        self.failed = error
        return (Failed(error),)

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if self.failed:
                raise self.failed from None
            raise


class DropsTheLastToken(Stream):
    """Holds one token back and loses it when the engine fails."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held = self.held
        self.held = (event,) if isinstance(event, Token) else ()
        return held if isinstance(event, Token) else (*held, event)


class ForgetsTheDeadline(Wrapper):
    """Leaves the request's deadline to whoever asked."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        return self.stream(replace(request, deadline_ms=None))


class CallsTheDeadlineSilence(Stream):
    """Reports a deadline that has passed as a silent engine, once there was a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise DecodeTimeout(error.message) if isinstance(error, DeadlineUnmet) and self.tokens else error


class TriesAgain(Stream):
    """Submits a second time when the engine had no room."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except PoolUnavailable:
            again = replace(self.request, task_id=TaskId(f"{self.request.task_id}-again"))
        async with self.adapter.inner.submit(again) as events:
            return await anext(events)


class _NotesFailures(Stream):
    """Knows whether it has failed."""

    has_failed = False

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        self.has_failed = True
        raise error


class LosesSlotsOnErrors(Wrapper):
    """Has four places for streams, and gives a place back only if the engine did not fail."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self._places = trio.Semaphore(4)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        await self._places.acquire()
        async with self.inner.submit(request) as inner:
            events = _NotesFailures(inner, self, request)
            try:
                yield events
            finally:
                if not events.has_failed:
                    self._places.release()


class LeavesTasksBehind(Wrapper):
    """Starts a task for each stream, and does not stop it when the engine failed."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        scope = trio.CancelScope()
        self.around.tasks.start_soon(_wait_in, scope)
        async with self.inner.submit(request) as inner:
            events = _NotesFailures(inner, self, request)
            try:
                yield events
            finally:
                if not events.has_failed:
                    scope.cancel()


async def _wait_in(scope: trio.CancelScope) -> None:
    with scope:
        await trio.sleep_forever()


class ForgetsItsGenerator(Wrapper):
    """Leaves an async generator to the garbage collector."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with self.inner.submit(request) as events:
            yield _passed_on(events)


async def _passed_on(events: Events) -> AsyncGenerator[TokenEvent, None]:  # noqa: ASYNC900 - this is the fault
    async for event in events:
        yield event


class ForgetsAFile(Stream):
    """Opens a file for a stream that fails and leaves it to the garbage collector, in a cycle."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        cycle: list[object] = [open(os.devnull, "rb")]  # noqa: SIM115 - the mistake
        cycle.append(cycle)
        raise error


class GroupsErrors(Wrapper):
    """Has a nursery around its stream, so that what the consumer raises comes out in a group."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with trio.open_nursery(), super().stream(request) as events:
            yield events


class RefusesWhatItClaims(Stream):
    """Claims embeddings and refuses them."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if self.request.inputs and not self.request.prompt:
            raise AdapterError("embedding: HTTP 404: not found", upstream_status=404)
        return (event,)


class HangsWhenClosed(Stream):
    """Waits on when its adapter is closed."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except WorkerReset as error:
            if "went away" not in error.message:
                raise
        await trio.sleep_forever()
        raise StopAsyncIteration


class ServesOneAtATime(Wrapper):
    """Serves the next stream when the consumer of the one before has left."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self._turn = trio.Semaphore(1)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with self._turn, super().stream(request) as events:
            yield events


class BlamesTheRequest(Wrapper):
    """Calls it the caller's fault when the engine cannot take a request yet, or never again."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with self.inner.submit(request) as events:
                yield events
        except PoolUnavailable as error:
            raise AdapterError(error.message, blames_request=True) from None


class WaitsForAClosedDoor(Wrapper):
    """Waits for ever when it was closed."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with self.inner.submit(request) as events:
                yield events
        except PoolUnavailable as error:
            if "closed" not in error.message:
                raise
            await trio.sleep_forever()  # noqa: ASYNC120 - this is the fault


class LeavesAConnection(Wrapper):
    """Opens a connection for each report and forgets it."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self._forgotten: list[trio.abc.Stream] = []

    async def props(self) -> WorkerProps:
        assert self.around.connect is not None
        self._forgotten.append(await self.around.connect())
        return await self.inner.props()


MUTANTS = (
    Mutant(BlamesTheRequest, "LIF-02"),
    Mutant(HangsWhenClosed, "LIF-05"),
    Mutant(WaitsForAClosedDoor, "LIF-06"),
    Mutant(ServesOneAtATime, "CON-04"),
    Mutant(MapsToTheWrongKind, "ERR-01"),
    Mutant(ForbidsOneRetry, "ERR-03"),
    Mutant(SaysTooLittle, "ERR-07"),
    Mutant(DropsTheLastToken, "ERR-04"),
    Mutant(LetsForeignErrorsOut, "ERR-05"),
    Mutant(SwallowsCancelled, "ERR-06"),
    Mutant(FailsTwice, "FRM-05"),
    Mutant(GroupsErrors, "LIF-08"),
    Mutant(RefusesWhatItClaims, "HPC-05"),
    Mutant(WaitsForEver, "TMO-01"),
    Mutant(CountsTheConsumersTime, "TMO-02"),
    Mutant(CallsSilenceInternal, "TMO-03"),
    Mutant(TriesAgain, "TMO-04"),
    Mutant(ForgetsTheDeadline, "TMO-05"),
    Mutant(CallsTheDeadlineSilence, "TMO-05"),
    Mutant(LeavesTasksBehind, "LEA-01"),
    Mutant(LeavesAConnection, "LEA-02", "llamacpp"),
    Mutant(LosesSlotsOnErrors, "LEA-03"),
    Mutant(ForgetsItsGenerator, "LEA-04"),
    Mutant(ForgetsAFile, "LEA-04"),
)
