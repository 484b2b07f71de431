"""Broken ways to stop early: before the start, while connecting, when a consumer leaves or the adapter is closed."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import trio

from adapter_api import (
    End,
    FinishReason,
    PoolUnavailable,
    Started,
    TaskId,
    TokenEvent,
    WorkerError,
    WorkerHealth,
    WorkerProps,
)

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskRequest, WorkerAdapter

    from .wrapper import Events, Surroundings

_MUCH = 10_000  # events: more than a stream has here


class RegistersLate(Wrapper):
    """Knows a request only a checkpoint after it was submitted."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        await trio.lowlevel.checkpoint()
        async with super().stream(request) as events:
            yield events


class _KnowsWhoStarted(Wrapper):
    """`waiting` has the streams that have not started."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsStart)
        self.waiting: dict[TaskId, TaskRequest] = {}

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.waiting[request.task_id] = request
        try:
            async with super().stream(request) as events:
                yield events
        finally:
            self.waiting.pop(request.task_id, None)


class _TellsOfItsStart(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started) and isinstance(self.adapter, _KnowsWhoStarted):
            self.adapter.waiting.pop(self.request.task_id, None)
        return (event,)


class AsksAllTheSame(_KnowsWhoStarted):
    """Ends a stream that is canceled before its start, and sends its request to the engine all the same."""

    async def cancel(self, task_id: TaskId) -> None:
        request = self.waiting.get(task_id)
        await super().cancel(task_id)
        if request is not None:
            self.around.tasks.start_soon(self._ask, replace(request, task_id=TaskId("late")))

    async def _ask(self, request: TaskRequest) -> None:
        with trio.move_on_after(1):
            async with self.inner.submit(request) as events:
                await anext(events)


class StopsAllThatWait(_KnowsWhoStarted):
    """Stops every stream that has not started when one of them is canceled."""

    async def cancel(self, task_id: TaskId) -> None:
        for each in (task_id, *(self.waiting if task_id in self.waiting else ())):
            await super().cancel(each)


class ConnectsBehindAShield(Wrapper):
    """Lets nobody cancel it while it connects."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with AsyncExitStack() as stack:
            with trio.CancelScope(shield=True):
                events = await stack.enter_async_context(super().stream(request))
            yield events


class AsksBehindAShield(Wrapper):
    """Goes on trying for a report when its caller is cancelled."""

    async def props(self) -> WorkerProps:
        with trio.CancelScope(shield=True):
            props = await self.inner.props()
        return props  # noqa: RET504 - a scope may swallow what comes out of it


class Pumped(Wrapper):
    """Reads each inner stream in a task of its own, which is told to stop when `stops` says so."""

    streams = 0

    def stops(self, number: int, *, is_cancelled: bool) -> bool:
        """Whether the n-th stream is stopped when its consumer goes."""
        raise NotImplementedError

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.streams += 1
        number, scope, is_cancelled = self.streams, trio.CancelScope(), False
        send, receive = trio.open_memory_channel[TokenEvent | WorkerError](_MUCH)
        over = trio.Event()
        self.around.tasks.start_soon(self._pump, request, send, scope, over)
        try:
            yield _Channelled(receive)
        except trio.Cancelled:
            is_cancelled = True
            raise
        finally:
            if self.stops(number, is_cancelled=is_cancelled):
                scope.cancel()
                with trio.CancelScope(shield=True):
                    await over.wait()

    async def _pump(
        self,
        request: TaskRequest,
        send: trio.MemorySendChannel[TokenEvent | WorkerError],
        scope: trio.CancelScope,
        over: trio.Event,
    ) -> None:
        with scope, send:
            try:
                async with self.inner.submit(request) as events:
                    async for event in events:
                        send.send_nowait(event)
            except WorkerError as error:
                send.send_nowait(error)
        over.set()


class _Channelled:
    def __init__(self, receive: trio.MemoryReceiveChannel[TokenEvent | WorkerError]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TokenEvent:
        try:
            event = await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        if isinstance(event, WorkerError):
            raise event
        return event


class ReadsOnInTheBackground(Pumped):
    """Reads a stream on in the background when its consumer has left."""

    def stops(self, number: int, *, is_cancelled: bool) -> bool:
        return False


class ReadsOnWhenCancelled(Pumped):
    """Reads a stream on in the background when its consumer was cancelled; one that leaves stops it."""

    def stops(self, number: int, *, is_cancelled: bool) -> bool:
        return not is_cancelled


class StopsItsFirstStreamOnly(Pumped):
    """Reads every stream but its first on in the background when the consumer has left."""

    def stops(self, number: int, *, is_cancelled: bool) -> bool:
        return number == 1


class EndsWellWhenClosed(Stream):
    """Ends a stream as if the engine had when the adapter is closed under it."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if not self.adapter.around.tasks.cancel_scope.cancel_called:
            raise error
        return (End(tokens_out=self.tokens, decode_time_ms=0, finish_reason=FinishReason.STOP),)


class HangsWhenClosedInCancel(Stream):
    """Lets a reader hang when the adapter is closed in the instant of a cancel."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if self.is_canceled and self.adapter.around.tasks.cancel_scope.cancel_called:
            await trio.sleep_forever()
        return event


class IsReadyUntilItIsUsed(Wrapper):
    """Takes its engine for ready as long as nothing has failed."""

    has_asked = False

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        has_asked, self.has_asked = self.has_asked, True
        return health if has_asked else WorkerHealth(live=True, ready=True)


class TakesSilenceForHealth(Wrapper):
    """Takes an engine for ready to which no connection is made or refused."""

    async def health(self) -> WorkerHealth:
        began = trio.current_time()
        health = await self.inner.health()
        return WorkerHealth(live=True, ready=True) if trio.current_time() > began + 1 else health


class TellsOfItsPastLife(Wrapper):
    """Says in its health that it was open before."""

    lives = 0

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        TellsOfItsPastLife.lives += 1

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        return replace(health, detail=health.detail or f"opened {self.lives} times")


class StaysAway(Wrapper):
    """Refuses everything for a minute once it was refused."""

    until_s = 0.0

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        if trio.current_time() < self.until_s:
            raise PoolUnavailable("completion: the engine was away")
        try:
            async with super().stream(request) as events:
                yield events
        except PoolUnavailable:
            self.until_s = trio.current_time() + 60
            raise


class GroupsErrorsAfterACancel(Wrapper):
    """Puts the consumer's own exception into a group when the stream was canceled."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            try:
                yield events
            except Exception as error:
                if request.task_id in self.canceled:
                    raise ExceptionGroup("the stream", [error]) from None
                raise


MUTANTS = (
    Mutant(TellsOfItsPastLife, "LIF-01"),
    Mutant(StaysAway, "LIF-02"),
    Mutant(RegistersLate, "CAN-04"),
    Mutant(AsksAllTheSame, "CAN-04", "llamacpp"),
    Mutant(StopsAllThatWait, "CAN-04"),
    Mutant(ConnectsBehindAShield, "CAN-11", "llamacpp"),
    Mutant(AsksBehindAShield, "CAN-11", "llamacpp"),
    Mutant(ReadsOnInTheBackground, "CAN-12"),
    Mutant(ReadsOnWhenCancelled, "CAN-12"),
    Mutant(StopsItsFirstStreamOnly, "CAN-12"),
    Mutant(EndsWellWhenClosed, "LIF-05"),
    Mutant(HangsWhenClosedInCancel, "LIF-05"),
    Mutant(IsReadyUntilItIsUsed, "LIF-07", "llamacpp"),
    Mutant(TakesSilenceForHealth, "LIF-07", "llamacpp"),
    Mutant(GroupsErrorsAfterACancel, "LIF-08"),
)
