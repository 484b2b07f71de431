"""Broken bounds: streams begun anew, connections and reports without an end, deadlines that start again."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    DeadlineUnmet,
    PoolUnavailable,
    Started,
    TaskId,
    Token,
    TokenEvent,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    WorkerReset,
)

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskRequest

    from .wrapper import Events


class _Anew(Wrapper):
    """Submits once more when a stream fails in a way that `is_worth_it`, and drops the second `started`."""

    skips = False

    def is_worth_it(self, error: WorkerError, tokens: int) -> bool:
        """Whether to begin anew after this failure behind so many tokens."""
        raise NotImplementedError

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with AsyncExitStack() as stack:
            events = await stack.enter_async_context(self.inner.submit(request))
            yield _BegunAnew(events, self, request, stack)


class _BegunAnew(Stream):
    def __init__(self, inner: Events, adapter: _Anew, request: TaskRequest, stack: AsyncExitStack) -> None:
        super().__init__(inner, adapter, request)
        self._anew = adapter
        self._stack = stack
        self._is_second = False
        self._has_started = False
        self._given = self._met = 0

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started):
            has_started, self._has_started = self._has_started, True
            return () if has_started else (event,)
        if not isinstance(event, Token):
            return (event,)
        self._met += 1
        if self._anew.skips and self._is_second and self._met <= self._given:
            return ()
        number, self._given = self._given, self._given + 1
        return (Token(event.t, number),)

    async def _more(self) -> Iterable[TokenEvent]:
        try:
            event = await anext(self.inner)
        except WorkerError as error:
            if self._is_second or not self._anew.is_worth_it(error, self._given):
                raise
            self._is_second, self._met = True, 0
            again = replace(self.request, task_id=TaskId(f"{self.request.task_id}-again"))
            self.inner = await self._stack.enter_async_context(self._anew.inner.submit(again))
            return ()
        except StopAsyncIteration:
            self._is_over = True
            return ()
        return self.change(event)


class BeginsAnewAfterTokens(_Anew):
    """Begins a stream that was reset after a token anew, and gives its text twice."""

    def is_worth_it(self, error: WorkerError, tokens: int) -> bool:
        return isinstance(error, WorkerReset) and tokens > 0


class BeginsAnewBeforeTokens(_Anew):
    """Begins a stream anew that broke off after `started` and before its first token."""

    def is_worth_it(self, error: WorkerError, tokens: int) -> bool:
        return isinstance(error, WorkerReset) and not tokens


class ResumesWhereItBrokeOff(_Anew):
    """Begins a stream anew and skips the tokens that were given, so that its text seems whole."""

    skips = True

    def is_worth_it(self, error: WorkerError, tokens: int) -> bool:
        return error.retriable and tokens > 0


class BeginsAnewWhenOverloaded(_Anew):
    """Begins a stream anew when the engine says in it that it is busy."""

    def is_worth_it(self, error: WorkerError, tokens: int) -> bool:
        return isinstance(error, PoolUnavailable) and tokens > 0


class ConnectsWithoutABound(Wrapper):
    """Waits for a connection of its own without a bound before it hands a request on."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        if self.around.connect is not None:
            await (await self.around.connect()).aclose()
        async with super().stream(request) as events:
            yield events


class LeavesConnectingOut(Wrapper):
    """Starts the deadline of a request when it is connected."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        if self.around.connect is not None:
            with trio.move_on_after(20):
                await (await self.around.connect()).aclose()
        async with super().stream(request) as events:
            yield events


class StartsTheDeadlineAgain(Wrapper):
    """Starts the deadline of a request again when the engine has accepted it."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with self.inner.submit(replace(request, deadline_ms=None)) as events:
            yield _OnItsOwnClock(events, self, request)


class _OnItsOwnClock(Stream):
    due_s: float | None = None

    async def _more(self) -> Iterable[TokenEvent]:
        left_s = (self.request.deadline_ms or 3_600_000) / 1000
        self.due_s = self.due_s or trio.current_time() + left_s
        with trio.move_on_at(self.due_s):
            return await super()._more()
        self._is_over = True
        raise DeadlineUnmet("the request's deadline has passed")

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started):
            self.due_s = None
        return (event,)


class WaitsForTheRestOfAHead(Wrapper):
    """Bounds the wait for the first byte of the answer to its health call, and not the wait for the rest."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        if self.around.connect is not None:
            with suppress(OSError, trio.BrokenResourceError):
                await self._probe(await self.around.connect())
        return health

    async def _probe(self, stream: trio.abc.Stream) -> None:
        answer = b""
        async with stream:
            await stream.send_all(f"GET /health HTTP/1.1\r\nHost: {self.around.address}\r\n\r\n".encode())
            with trio.move_on_after(2):
                answer = bytes(await stream.receive_some())
            while answer and b"\r\n\r\n" not in answer:
                answer += bytes(await stream.receive_some())


class WaitsForSilentEngines(Wrapper):
    """Asks for props again and again while the engine does not answer."""

    async def props(self) -> WorkerProps:
        while True:
            try:
                return await self.inner.props()
            except DeadlineUnmet:
                await trio.sleep(1)


MUTANTS = (
    Mutant(BeginsAnewAfterTokens, "TMO-06"),
    Mutant(BeginsAnewBeforeTokens, "TMO-06"),
    Mutant(ResumesWhereItBrokeOff, "TMO-06"),
    Mutant(BeginsAnewWhenOverloaded, "TMO-06", "llamacpp"),
    Mutant(ConnectsWithoutABound, "TMO-07", "llamacpp"),
    Mutant(LeavesConnectingOut, "TMO-07", "llamacpp"),
    Mutant(StartsTheDeadlineAgain, "TMO-07"),
    Mutant(WaitsForTheRestOfAHead, "HPC-02", "llamacpp"),
    Mutant(WaitsForSilentEngines, "HPC-02", "llamacpp"),
)
