"""Adapters that break under many requests: limits that lie, readers that get in each other's way, locks, leaks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from adapter_api import InternalError, PoolUnavailable, Token, TokenEvent, WorkerError
from conformance.times import STEP_S

from .animals import Mutant
from .stopping_faults import Pumped
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskId, TaskRequest, WorkerAdapter, WorkerProps

    from .wrapper import Events, Surroundings


_ALLOWED = 32


class _Limited(Wrapper):
    """Counts its streams; `full` says what becomes of one that comes when there are as many as are declared."""

    spare = 0

    def __init__(self, inner: WorkerAdapter, around: Surroundings, stream_type: type[Stream] = Stream) -> None:
        super().__init__(inner, around, stream_type)
        self.open: dict[TaskId, TaskRequest] = {}

    async def full(self) -> None:
        """Make room, or raise."""
        raise NotImplementedError

    def forget(self, request: TaskRequest) -> None:
        """Count a stream that is over down."""
        del self.open[request.task_id]

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        limit = (await self.inner.capabilities()).concurrency or 0
        if len(self.open) >= limit - self.spare:
            await self.full()
        self.open[request.task_id] = request
        try:
            async with super().stream(request) as events:
                yield events
        finally:
            self.forget(request)


class RefusesTheLastOfThem(_Limited):
    """Refuses the last of the requests that it declares."""

    spare = 1

    async def full(self) -> None:
        raise PoolUnavailable("completion: no room", retriable=True)


class FailsBeyondItsLimit(_Limited):
    """Reports a request beyond its limit as a failure of its own."""

    async def full(self) -> None:
        raise InternalError("completion: no room")


class RefusesForGood(_Limited):
    """Tells a request beyond its limit not to come back."""

    async def full(self) -> None:
        raise PoolUnavailable("completion: no room", retriable=False)


class NeverCountsFailuresDown(_Limited):
    """Counts requests that failed as if they still ran."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _TellsOfItsFailure)
        self.failed: set[TaskId] = set()

    async def full(self) -> None:
        raise PoolUnavailable("completion: no room", retriable=True)

    def forget(self, request: TaskRequest) -> None:
        if request.task_id not in self.failed:
            super().forget(request)


class _TellsOfItsFailure(Stream):
    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, NeverCountsFailuresDown)
        self.adapter.failed.add(self.request.task_id)
        raise error


class MakesRoomByForce(_Limited):
    """Stops its oldest request for one that is beyond its limit."""

    async def full(self) -> None:
        await self.inner.cancel(next(iter(self.open)))


class GivesBothTheSame(Stream):
    """Gives a second reader what the first one gets."""

    arrived: trio.Event | None = None
    last: TokenEvent | None = None

    async def __anext__(self) -> TokenEvent:
        if self.arrived is not None:
            await self.arrived.wait()
            if self.last is not None:
                return self.last
        self.arrived = trio.Event()
        self.last = None
        try:
            self.last = await super().__anext__()
            return self.last
        finally:
            self.arrived.set()
            self.arrived = None


class DropsForTheSecond(Stream):
    """Drops an event when a second reader was turned away."""

    was_busy = False

    async def __anext__(self) -> TokenEvent:
        try:
            event = await super().__anext__()
        except trio.BusyResourceError:
            self.was_busy = True
            raise
        if self.was_busy and isinstance(event, Token):
            self.was_busy = False
            return await super().__anext__()
        return event


class EndsForTheSecond(Stream):
    """Fails with an error of the engine's when a second reader comes."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except trio.BusyResourceError:
            raise InternalError("the stream broke") from None


class LocksBothWays(Wrapper):
    """Takes two locks in one order to cancel and in the other to leave."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.door, self.table = trio.Lock(), trio.Lock()

    async def cancel(self, task_id: TaskId) -> None:
        async with self.door, self.table:
            await super().cancel(task_id)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            yield events
        async with self.table, self.door:
            await trio.lowlevel.checkpoint()


class LosesPlaces(Wrapper):
    """Loses one of its places for good when someone is cancelled who has just taken it."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.places = 3
        self.changed = trio.Condition()

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with self.changed:
            while not self.places:
                await self.changed.wait()
            self.places -= 1
        await trio.sleep(STEP_S / 2)  # it makes ready
        try:
            async with super().stream(request) as events:
                yield events
        finally:
            self.places += 1
            with trio.CancelScope(shield=True):
                async with self.changed:
                    self.changed.notify()


class ReportsBehindStreams(Wrapper):
    """Answers a report only between two streams."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.open = 0
        self.is_empty = trio.Event()

    async def props(self) -> WorkerProps:
        if self.open:
            await self.is_empty.wait()
        return await self.inner.props()

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.open += 1
        async with super().stream(request) as events:
            yield events
        self.open -= 1
        if not self.open:
            self.is_empty.set()


class SharesOneAllowance(Wrapper):
    """Gives no more than 32 tokens of all its streams together in half a second."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _Allowed)
        self.window, self.given = 0, 0


class _Allowed(Stream):
    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        adapter = self.adapter
        assert isinstance(adapter, SharesOneAllowance)
        while isinstance(event, Token):
            window = int(trio.current_time() * 2)
            adapter.given = adapter.given + 1 if window == adapter.window else 1
            adapter.window = window
            if adapter.given <= _ALLOWED:
                break
            await trio.sleep_until((window + 1) / 2)
        return event


class ServesTheLoudest(Wrapper):
    """Serves a stream that has begun to speak until it is done, before any other."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _UntilDone)
        self.speaking: dict[Stream, trio.Event] = {}


class _UntilDone(Stream):
    async def __anext__(self) -> TokenEvent:
        assert isinstance(self.adapter, ServesTheLoudest)
        event = await super().__anext__()
        speaking = self.adapter.speaking
        if isinstance(event, Token):
            speaking.setdefault(self, trio.Event())
            while (first := next(iter(speaking))) is not self:
                await speaking[first].wait()
        elif self in speaking:
            speaking.pop(self).set()
        return event


class StepsTogether(Wrapper):
    """Gives a stream its next token only when every other stream was given as many."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _InStep)
        self.given: dict[Stream, int] = {}
        self.moved = trio.Event()


class _InStep(Stream):
    async def __anext__(self) -> TokenEvent:
        adapter = self.adapter
        assert isinstance(adapter, StepsTogether)
        event = await super().__anext__()
        while isinstance(event, Token) and adapter.given.get(self, 0) > min(adapter.given.values(), default=0):
            await adapter.moved.wait()
        if isinstance(event, Token):
            adapter.given[self] = adapter.given.get(self, 0) + 1
        else:
            adapter.given.setdefault(self, 0)
        if event.kind.value in {"end", "error"}:
            del adapter.given[self]
        moved, adapter.moved = adapter.moved, trio.Event()
        moved.set()
        return event


class ReadsInATask(Pumped):
    """Reads each stream in a task of its own, into a buffer that takes all there is."""

    def stops(self, number: int, *, is_cancelled: bool) -> bool:
        return True


class KeepsEveryRequest(Wrapper):
    """Keeps a list of what it was asked."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.asked: list[TaskRequest] = []

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.asked.append(request)
        async with super().stream(request) as events:
            yield events


class KeepsItsFailures(Wrapper):
    """Keeps the errors that it has raised, with all that hangs on them."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.failures: list[Exception] = []

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with super().stream(request) as events:
                yield events
        except WorkerError as error:
            self.failures.append(error)
            raise


MUTANTS = (
    Mutant(RefusesTheLastOfThem, "CON-02"),
    Mutant(FailsBeyondItsLimit, "CON-02"),
    Mutant(RefusesForGood, "CON-02"),
    Mutant(NeverCountsFailuresDown, "CON-02"),
    Mutant(MakesRoomByForce, "CON-02"),
    Mutant(GivesBothTheSame, "CON-05"),
    Mutant(DropsForTheSecond, "CON-05"),
    Mutant(EndsForTheSecond, "CON-05"),
    Mutant(LocksBothWays, "CON-06"),
    Mutant(LosesPlaces, "CON-06"),
    Mutant(ReportsBehindStreams, "CON-06"),
    Mutant(SharesOneAllowance, "CON-07"),
    Mutant(ServesTheLoudest, "CON-07"),
    Mutant(StepsTogether, "CON-04"),
    Mutant(ReadsInATask, "CON-03", "llamacpp"),
    Mutant(KeepsEveryRequest, "LEA-05"),
    Mutant(KeepsItsFailures, "LEA-05"),
)
