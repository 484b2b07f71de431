"""Odd adapters that keep to the specification: the kit may not blame them.

Where the specification says SHOULD and one of them does not, a warning is right; its `warns` name it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    Capabilities,
    End,
    Failed,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerHealth,
    WorkerProps,
)
from conformance.times import TICK_S

from .animals import Reference
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from adapter_api import TaskRequest

    from .wrapper import Events


_BIG_CHARACTERS = 16_384  # of the order of what a socket's buffer may hold anyway


class Sealed(Stream):
    """Gives no token after a cancel, whatever it holds, and says in its end that it was canceled."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        while self.is_canceled and isinstance(event, Token):
            event = await super().__anext__()
        return replace(event, canceled=True) if self.is_canceled and isinstance(event, End) else event


class GivesHalves(Sealed):
    """Gives every token in two halves."""

    index = 0

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        half = len(event.t) // 2 if isinstance(event, Token) else 0
        for piece in filter(None, (event.t[:half], event.t[half:])) if isinstance(event, Token) else ():
            yield Token(piece, self.index)
            self.index += 1
        if not isinstance(event, Token):
            yield event


class GivesBigTokens(Sealed):
    """Gathers up to 16 KiB of text for one token."""

    text = ""
    index = 0

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        self.text += event.t if isinstance(event, Token) else ""
        if isinstance(event, End) or len(self.text) >= _BIG_CHARACTERS:
            yield from self._said()
        if not isinstance(event, Token):
            yield event

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (*self._said(), Failed(error))

    def _said(self) -> Iterator[TokenEvent]:
        if self.text:
            yield Token(self.text, self.index)
            self.text, self.index = "", self.index + 1


class ComesInPairs(Sealed):
    """Gives tokens two at a time."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and not self.held:
            self.held = (event,)
            return ()
        held, self.held = self.held, ()
        return (*held, event)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (*self.held, Failed(error))


class TakesItsTime(Sealed):
    """Passes every event on a little later."""

    async def _more(self) -> Iterable[TokenEvent]:
        events = await super()._more()
        await trio.sleep(8 * TICK_S)
        return events


class StartsWithTheFirstToken(Sealed):
    """Gives `started` only when there is something to say, as engines do whose headers come late."""

    held: tuple[TokenEvent, ...] = ()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        held, self.held = self.held, ()
        if isinstance(event, Started):
            self.held = (event,)
            return ()
        return (*held, event)


class TalksInNumbers(Stream):
    """Gives metrics after everything but the end."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        yield event
        if isinstance(event, Started | Token):
            yield Metrics({"queue_depth": 0, "tokens_per_second": 8.0})


class FailsInEvents(Stream):
    """Gives failures as events."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (Failed(error),)


class FailsOnEntry(Wrapper):
    """Waits for the first event before it lets the consumer in, so early failures are raised there."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with self.inner.submit(request) as inner:
            events = Stream(inner, self, request)
            await events.prefetch()
            yield events


class KnowsLittle(Wrapper):
    """Reports nothing that it need not report."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        return WorkerHealth(live=health.live, ready=health.ready)

    async def props(self) -> WorkerProps:
        await self.inner.props()
        return WorkerProps()

    async def capabilities(self) -> Capabilities:
        known = await self.inner.capabilities()
        return Capabilities(
            engine=known.engine, engine_version=known.engine_version, model=known.model, workloads=known.workloads
        )


_LATE = frozenset({"FRM-08"})

REFERENCES = (
    Reference(GivesHalves),
    Reference(GivesBigTokens, _LATE),
    Reference(ComesInPairs, _LATE),
    Reference(TakesItsTime, _LATE),
    Reference(StartsWithTheFirstToken),
    Reference(TalksInNumbers),
    Reference(FailsInEvents),
    Reference(FailsOnEntry),
    Reference(KnowsLittle),
)
