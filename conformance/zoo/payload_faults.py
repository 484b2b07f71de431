"""Broken payloads, texts and ends: one field in one case, and what comes in the tick of something else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    End,
    Failed,
    FinishReason,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)
from conformance.times import QUIET_S, STEP_S

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from adapter_api import JsonValue, TaskRequest, WorkerAdapter

    from .wrapper import Events, Surroundings


@dataclass(frozen=True, slots=True)
class _Queued:
    """An event of a kind that there is not."""

    kind = "queued"
    data = MappingProxyType({"place": 1})


class TellsOfTheQueue(Stream):
    """Gives an event of a kind of its own to a stream that had to wait."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.since_s = trio.current_time()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started) and trio.current_time() - self.since_s > 2 * STEP_S:
            return (_Queued(), event)  # type: ignore[return-value]  # this is the fault
        return (event,)


class IsTooSure(Stream):
    """Tells a probability of 1.5 after the third token."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        yield event
        if isinstance(event, Token) and event.i == 2:
            yield Metrics({"on_time_probability": 1.5})


@dataclass(frozen=True, slots=True)
class _Silent(Failed):
    """A failure that says nothing."""

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload without its message."""
        return {"kind": self.error.kind, "retriable": self.error.retriable}


class FailsWithoutAWord(Stream):
    """Leaves the message out of an `error` that comes after a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if self.tokens:
            return (_Silent(error),)
        raise error


@dataclass(frozen=True, slots=True)
class _Scored(Token):
    """A token with a field of the engine's."""

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload and one field too many."""
        return {"t": self.t, "i": self.i, "logprob": -0.25}


class PassesOneFieldOn(Stream):
    """Passes a field of the engine's on with the second token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (_Scored(event.t, event.i),) if isinstance(event, Token) and event.i == 1 else (event,)


class DividesByNothing(Stream):
    """Tells the pace as NaN where the answer took no time."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if isinstance(event, End) and self.tokens and not event.decode_time_ms:
            yield Metrics({"tokens_per_second": float("nan")})
        yield event


class CountsInTexts(Stream):
    """Tells the count of the prompt as a text to the second stream of an adapter."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if not isinstance(event, Started):
            return (event,)
        is_second = getattr(self.adapter, "has_started", False)
        self.adapter.has_started = True  # type: ignore[attr-defined]  # state that streams share
        return (replace(event, tokens_in="4"),) if is_second else (event,)  # type: ignore[arg-type]  # the fault


class DropsTheEnginesWord(Stream):
    """Keeps the engine's own reason to itself."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (replace(event, engine_finish_reason=None),) if isinstance(event, End) else (event,)


class TakesNothingForLength(Stream):
    """Reports an answer that stopped before its first token as one that was too long."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End) and not self.tokens and event.finish_reason is FinishReason.STOP:
            return (replace(event, finish_reason=FinishReason.LENGTH),)
        return (event,)


class DropsWhatCameAlong(Stream):
    """Loses the last token that came in the tick of a failure, where there were more than two."""

    held: tuple[float, TokenEvent] | None = None

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held, self.held = self.held, None
        given = () if held is None else held[1:]
        if isinstance(event, Token) and self.tokens > 1:
            self.held = trio.current_time(), event
            return given
        return (*given, event)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if self.held is None or self.held[0] == trio.current_time():
            raise error
        return self.held[1], Failed(error)


class HoldsOneBack(Stream):
    """Gives each token with the next one."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held, self.held = self.held, (event,) if isinstance(event, Token) else ()
        return held if isinstance(event, Token) else (*held, event)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (*self.held, Failed(error))


class SaysTooMuch(Stream):
    """Puts the whole of what it knows into a message."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise type(error)(f"{error.message} {'details ' * 100}", retriable=error.retriable)


class EndsInSilence(Stream):
    """Stops without a terminal event when the connection broke after a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, WorkerReset) and self.tokens:
            return ()
        raise error


class WaitsForTheBody(Stream):
    """Goes on waiting for the end of the body after an `error`."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        self.has_failed = True
        return (Failed(error),)

    has_failed = False

    async def __anext__(self) -> TokenEvent:
        if self.has_failed and not self._ready:
            await trio.sleep(2 * QUIET_S)
        return await super().__anext__()


class HangsAfterACut(Stream):
    """Waits for the rest of a stream that broke off after a token."""

    async def __anext__(self) -> TokenEvent:
        try:
            return await super().__anext__()
        except WorkerReset:
            if not self.tokens:
                raise
        await trio.sleep_forever()
        raise StopAsyncIteration


class LeavesAWatcher(Wrapper):
    """Watches each stream from a task that ends with the stream's own end, and with nothing else."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        scope = trio.CancelScope()
        self.around.tasks.start_soon(_watch_in, scope)
        async with self.inner.submit(request) as inner:
            events = _NotesItsEnd(inner, self, request)
            yield events
        if events.has_ended:
            scope.cancel()


class _NotesItsEnd(Stream):
    has_ended = False

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.has_ended |= isinstance(event, End)
        return (event,)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        self.has_ended = True
        raise error


async def _watch_in(scope: trio.CancelScope) -> None:
    with scope:
        await trio.sleep_forever()


class LosesSlotsToLeavers(Wrapper):
    """Has four places for streams, and gives none back of a stream that was left before its end."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self._places = trio.Semaphore(4)

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        await self._places.acquire()
        events = None
        try:
            async with self.inner.submit(request) as inner:
                events = _NotesItsEnd(inner, self, request)
                yield events
        finally:
            if events is None or events.has_ended:
                self._places.release()


class MasksPasswords(Stream):
    """Masks what stands behind `password=` in the model's text."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and "password=" in event.t:
            return (replace(event, t=event.t.partition("=")[0] + "=***"),)
        return (event,)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(TellsOfTheQueue, "FRM-15"),
    Mutant(HoldsOneBack, "FRM-08"),
    Mutant(IsTooSure, "SCH-01"),
    Mutant(FailsWithoutAWord, "SCH-01"),
    Mutant(PassesOneFieldOn, "SCH-03"),
    Mutant(DividesByNothing, "SCH-04"),
    Mutant(CountsInTexts, "SCH-04"),
    Mutant(DropsTheEnginesWord, "SCH-06", "openai"),
    Mutant(TakesNothingForLength, "SCH-06", "llamacpp"),
    Mutant(DropsWhatCameAlong, "ERR-04"),
    Mutant(SaysTooMuch, "ERR-07"),
    Mutant(EndsInSilence, "LIF-03"),
    Mutant(WaitsForTheBody, "LIF-04"),
    Mutant(HangsAfterACut, "LIF-10"),
    Mutant(LeavesAWatcher, "LEA-01"),
    Mutant(LosesSlotsToLeavers, "LEA-03"),
    Mutant(MasksPasswords, "RED-05"),
)
