"""More odd adapters that keep to the specification: built in other ways, at odd paces, with odd servers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, final

import trio

from adapter_api import Capabilities, Failed, Metrics, PoolUnavailable, Started, Token, WorkerError
from conformance.times import STEP_S

from .animals import Reference
from .plain.adapter import PlainAdapter
from .references import Sealed
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from adapter_api import TaskId, TaskRequest, TokenEvent

    from .wrapper import Events

    Channel = trio.MemoryReceiveChannel[TokenEvent | WorkerError]

_BURST = 8
_BUFFER = 4


class WrittenElsewhere(PlainAdapter):
    """Was written by a stranger, from the specification alone: no retries, and a connection for each call."""


class MeetsAnOddServer(Wrapper):
    """Speaks to a server that has every habit in which servers of its interface differ."""


class ReadsAheadALittle(Wrapper):
    """Reads in a task of its own, up to four events ahead of its consumer."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        send, receive = _channel()
        raised: Exception | None = None
        async with self.inner.submit(request) as inner, trio.open_nursery() as nursery:
            nursery.start_soon(_pump, inner, send)
            try:
                yield Sealed(_Received(receive), self, request)
            except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery: not in a group
                raised = error
            nursery.cancel_scope.cancel()
        if raised is not None:
            raise raised


def _channel() -> tuple[trio.MemorySendChannel[TokenEvent | WorkerError], Channel]:
    return trio.open_memory_channel(_BUFFER)


async def _pump(inner: Events, send: trio.MemorySendChannel[TokenEvent | WorkerError]) -> None:
    async with send:
        try:
            async for event in inner:
                await send.send(event)
        except WorkerError as error:
            await send.send(error)


@final
class _Received:
    """The events of a channel; an error among them is raised."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> _Received:
        return self

    async def __anext__(self) -> TokenEvent:
        event = await anext(self._channel)
        if isinstance(event, WorkerError):
            raise event
        return event


class ComesInBursts(Sealed):
    """Gives tokens eight at a time."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held = (*self.held, event)
        if isinstance(event, Token) and len(held) < _BURST:
            self.held = held
            return ()
        self.held = ()
        return held

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (*self.held, Failed(error))


class PassesManyCheckpoints(Sealed):
    """Lets others run twenty times before it looks whether it may give an event."""

    async def _more(self) -> Iterable[TokenEvent]:
        events = await super()._more()
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        return events


class SaysAllItMay(Sealed):
    """Says everything that events have room for: numbers of its own, before each token and after."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        numbers = Metrics({"queue_depth": 0, "on_time_probability": 1, "kv_warmth": True, "x": {"y": [1, None]}})
        match event:
            case Started():
                yield replace(event, kv_warmth=True, tokens_in=event.tokens_in or 0)
            case _:
                yield numbers
                yield event


class WordsItsErrorsOtherwise(Stream):
    """Has words of its own around those of the engine."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        error.message = f"Oh dear! While asking, this was heard: « {error.message} » (what a pity)"
        raise error


class TakesItsTimeToStop(Wrapper):
    """Returns from a cancel half a second after everything is stopped."""

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        await trio.sleep(4 * STEP_S)


class TakesItsLeave(Wrapper):
    """Takes an eighth of a second to leave a stream, also when it is cancelled."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with super().stream(request) as events:
                yield events
        finally:
            with trio.move_on_after(STEP_S, shield=True):
                await trio.sleep_forever()


class AsksBeforeItSends(Wrapper):
    """Asks how the engine is before it lets a consumer in, whatever the answer."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            await self.health()
            yield events


class TakesOneAtATime(Wrapper):
    """Takes one request at a time and says so, and refuses another meanwhile."""

    is_busy = False

    async def capabilities(self) -> Capabilities:
        return replace(await super().capabilities(), concurrency=1)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        if self.is_busy:
            raise PoolUnavailable("asking the engine: it has one request already")
        self.is_busy = True
        try:
            async with super().stream(request) as events:
                yield events
        finally:
            self.is_busy = False


_LATE = frozenset({"FRM-08"})

REFERENCES = (
    Reference(WrittenElsewhere, base="plain"),
    Reference(MeetsAnOddServer, base="plain-odd"),
    Reference(ReadsAheadALittle),
    Reference(ComesInBursts, _LATE),
    Reference(PassesManyCheckpoints),
    Reference(SaysAllItMay),
    Reference(WordsItsErrorsOtherwise),
    Reference(TakesItsTimeToStop),
    Reference(TakesItsLeave),
    Reference(AsksBeforeItSends),
    Reference(TakesOneAtATime, limits={"parallel": "it takes one request at a time"}),
)
