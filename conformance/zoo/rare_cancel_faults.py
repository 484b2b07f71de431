"""Cancels that go wrong in one situation only: a later stream, a later token, nobody who reads, somebody in line."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import trio

from adapter_api import PoolUnavailable, Token, TokenEvent

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskId, TaskRequest, WorkerAdapter

    from .wrapper import Events, Surroundings

_FEW = 2
_STREAMS: WeakKeyDictionary[Wrapper, int] = WeakKeyDictionary()


class _Numbered(Stream):
    """Knows which of its adapter's streams it is, from 1."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.number = _STREAMS[adapter] = _STREAMS.get(adapter, 0) + 1


class IsLateOnItsSecondStream(_Numbered):
    """Looks, passes a checkpoint and gives, on every stream but the first."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if self.number > 1 and not self.is_canceled:
            await trio.lowlevel.checkpoint()
        return event


class IsLateOnItsLastTokens(Stream):
    """Looks, passes a checkpoint and gives, from the third token on."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if self.tokens > _FEW and not self.is_canceled:
            await trio.lowlevel.checkpoint()
        return event


class LetsGoWhenItIsRead(Wrapper):
    """Tells the engine of a cancel only when somebody waits for the stream, or reads on."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsWhenItIsRead)
        self.read: set[TaskId] = set()

    async def cancel(self, task_id: TaskId) -> None:
        self.canceled.add(task_id)
        if task_id in self.read:
            await self.inner.cancel(task_id)
        await trio.lowlevel.checkpoint()


class _TellsWhenItIsRead(Stream):
    async def __anext__(self) -> TokenEvent:
        assert isinstance(self.adapter, LetsGoWhenItIsRead)
        task_id, read = self.request.task_id, self.adapter.read
        if task_id in self.adapter.canceled:
            await self.adapter.inner.cancel(task_id)
        read.add(task_id)
        try:
            return await super().__anext__()
        finally:
            read.discard(task_id)


class WaitsForTheFirstToken(Wrapper):
    """Waits in cancel() until the engine has begun to speak, or for five seconds."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsFirstToken)
        self.spoken: set[TaskId] = set()

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        if task_id not in self.spoken:
            await trio.sleep(5)


class _TellsOfItsFirstToken(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, WaitsForTheFirstToken)
        if isinstance(event, Token):
            self.adapter.spoken.add(self.request.task_id)
        return (event,)


class StopsWhoeverWaitsWithIt(Wrapper):
    """Stops the request that is on the slot when one is canceled that waits for it."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsSpeaking)
        self.speaking: set[TaskId] = set()

    async def cancel(self, task_id: TaskId) -> None:
        if task_id not in self.speaking:
            for each in tuple(self.speaking):
                await self.inner.cancel(each)
        await super().cancel(task_id)


class _TellsOfItsSpeaking(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, StopsWhoeverWaitsWithIt)
        if isinstance(event, Token):
            self.adapter.speaking.add(self.request.task_id)
        return (event,)


class RefusesAfterALateCancel(Wrapper):
    """Refuses the next request when one was canceled that had finished."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.finished: set[TaskId] = set()

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        if self.finished & self.canceled:
            self.canceled.clear()
            raise PoolUnavailable("completion: a cancel is under way")
        async with super().stream(request) as events:
            yield events
        self.finished.add(request.task_id)


class CutsShortAfterAnUnknownCancel(Wrapper):
    """Stops the next request at its first token when an id was canceled that never was."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _IsCutShort)
        self.known: set[TaskId] = set()

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.known.add(request.task_id)
        async with super().stream(request) as events:
            yield events


class _IsCutShort(Stream):
    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        assert isinstance(self.adapter, CutsShortAfterAnUnknownCancel)
        if isinstance(event, Token) and self.adapter.canceled - self.adapter.known:
            await self.adapter.inner.cancel(self.request.task_id)
        return event


MUTANTS = (
    Mutant(IsLateOnItsSecondStream, "CAN-01"),
    Mutant(IsLateOnItsLastTokens, "CAN-01"),
    Mutant(LetsGoWhenItIsRead, "CAN-07"),
    Mutant(WaitsForTheFirstToken, "CAN-10"),
    Mutant(StopsWhoeverWaitsWithIt, "CAN-08"),
    Mutant(RefusesAfterALateCancel, "CAN-05"),
    Mutant(CutsShortAfterAnUnknownCancel, "CAN-06"),
)
