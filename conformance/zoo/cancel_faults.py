"""Broken cancels: late, early, lost, shared, slow."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import AdapterError, End, FinishReason, Started, TaskId, TokenEvent

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskRequest, WorkerAdapter

    from .wrapper import Events, Surroundings


class LooksThenWaits(Stream):
    """Looks whether it was canceled, passes one checkpoint, and only then gives the event."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if not self.is_canceled:
            await trio.lowlevel.checkpoint()
        return event


class EmptiesItsBuffer(Stream):
    """Is one event ahead of its consumer, and gives what it holds also after a cancel."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held, self.held = self.held, (event,)
        return (*held, event) if isinstance(event, End) else held


class AcknowledgesFirst(Wrapper):
    """Returns from cancel() at once and stops a moment later."""

    async def cancel(self, task_id: TaskId) -> None:
        self.around.tasks.start_soon(self._stop_soon, task_id)
        await trio.lowlevel.checkpoint()

    async def _stop_soon(self, task_id: TaskId) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        await self.inner.cancel(task_id)


class KeepsTheEngineBusy(Wrapper):
    """Seals its own side on cancel, and lets the engine go only when the consumer leaves."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _SealsItself)
        self.waiting: dict[TaskId, trio.CancelScope] = {}

    async def cancel(self, task_id: TaskId) -> None:
        self.canceled.add(task_id)
        if task_id in self.waiting:
            self.waiting[task_id].cancel()
        await trio.lowlevel.checkpoint()


class _SealsItself(Stream):
    has_started = False
    has_ended = False

    async def __anext__(self) -> TokenEvent:
        if self.has_ended:
            raise StopAsyncIteration
        if not self.is_canceled:
            with trio.CancelScope() as scope:
                self._waiting[self.request.task_id] = scope
                return self._note(await super().__anext__())
        if not self.has_started:
            return self._note(Started())
        return self._note(End(tokens_out=0, decode_time_ms=0, finish_reason=FinishReason.CANCELED, canceled=True))

    @property
    def _waiting(self) -> dict[TaskId, trio.CancelScope]:
        assert isinstance(self.adapter, KeepsTheEngineBusy)
        return self.adapter.waiting

    def _note(self, event: TokenEvent) -> TokenEvent:
        self.has_started = True
        self.has_ended = isinstance(event, End)
        return event


class WakesNobody(Stream):
    """Lets a reader that waits go on waiting after a cancel."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if isinstance(event, End) and event.canceled:
            await trio.sleep_forever()
        return event


class HidesTheCancel(Stream):
    """Ends a canceled stream as if the engine had stopped."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (replace(event, canceled=False),) if isinstance(event, End) else (event,)


class ForgetsToStart(Stream):
    """Ends a stream that is canceled before `started` without giving it."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        return await super().__anext__() if isinstance(event, Started) and self.is_canceled else event


class MissesEarlyCancels(Wrapper):
    """Knows a request only once it has started, and misses cancels before."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsStart)
        self.started: set[TaskId] = set()

    async def cancel(self, task_id: TaskId) -> None:
        if task_id in self.started:
            await self.inner.cancel(task_id)
        await trio.lowlevel.checkpoint()


class _TellsOfItsStart(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, MissesEarlyCancels)
        self.adapter.started.add(self.request.task_id)
        return (event,)


class RefusesASecondCancel(Wrapper):
    """Fails when an id is canceled again."""

    async def cancel(self, task_id: TaskId) -> None:
        if task_id in self.canceled:
            raise AdapterError(f"cancel: {task_id} is not known")
        await super().cancel(task_id)


class RefusesUnknownIds(Wrapper):
    """Lets a KeyError out for an id that was never submitted."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self._known: dict[TaskId, TaskRequest] = {}

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        self._known[request.task_id] = request
        return super().submit(request)

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(self._known[task_id].task_id)


class RemembersCancels(Wrapper):
    """Applies the cancel of a request that has finished to the one that comes next."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.finished: set[TaskId] = set()
        self.is_pending = False

    def applies_to(self, task_id: TaskId) -> bool:
        """Whether a cancel of this id is kept for the next request."""
        return task_id in self.finished

    async def cancel(self, task_id: TaskId) -> None:
        self.is_pending = self.is_pending or self.applies_to(task_id)
        await super().cancel(task_id)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            if self.is_pending:
                self.is_pending = False
                await self.inner.cancel(request.task_id)
            yield events
        self.finished.add(request.task_id)


class RemembersUnknownCancels(RemembersCancels):
    """Applies the cancel of an id that never was to the request that comes next."""

    seen: frozenset[TaskId] = frozenset()

    def applies_to(self, task_id: TaskId) -> bool:
        return task_id not in self.seen

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.seen |= {request.task_id}
        async with super().stream(request) as events:
            yield events


class CancelsEverybody(Wrapper):
    """Cancels all streams that are in the same phase, after the first token."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsTokens)
        self.speaking: set[TaskId] = set()

    async def cancel(self, task_id: TaskId) -> None:
        for each in {task_id, *(self.speaking if task_id in self.speaking else ())}:
            await super().cancel(each)


class _TellsOfItsTokens(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, CancelsEverybody)
        if self.tokens:
            self.adapter.speaking.add(self.request.task_id)
        return (event,)


class LeavesSlowly(Wrapper):
    """Takes its time to clean up when the consumer is cancelled."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            try:
                yield events
            except trio.Cancelled:
                with trio.move_on_after(10, shield=True):
                    await trio.sleep(5)
                raise


class ReadsToTheEnd(Wrapper):
    """Waits for the rest of the engine's answer before it lets go of it."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            yield events
            with trio.move_on_after(30):
                async for _event in events:
                    await trio.lowlevel.checkpoint()


class WaitsForTheEngine(Wrapper):
    """Waits in cancel() for an engine that has nothing to say."""

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        await trio.sleep(5)


MUTANTS = (
    Mutant(LooksThenWaits, "CAN-01"),
    Mutant(AcknowledgesFirst, "CAN-01"),
    Mutant(EmptiesItsBuffer, "CAN-01"),
    Mutant(KeepsTheEngineBusy, "CAN-07"),
    Mutant(WakesNobody, "CAN-02"),
    Mutant(HidesTheCancel, "CAN-02"),
    Mutant(MissesEarlyCancels, "CAN-02"),
    Mutant(ForgetsToStart, "CAN-02"),
    Mutant(RefusesASecondCancel, "CAN-03"),
    Mutant(RefusesUnknownIds, "CAN-03"),
    Mutant(RemembersCancels, "CAN-05"),
    Mutant(RemembersUnknownCancels, "CAN-06"),
    Mutant(CancelsEverybody, "CAN-08"),
    Mutant(LeavesSlowly, "CAN-09"),
    Mutant(ReadsToTheEnd, "CAN-09"),
    Mutant(WaitsForTheEngine, "CAN-10"),
)
