"""Broken order and broken payloads: at one instant, in line, after a minute, in the thousandth token."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    DeadlineUnmet,
    End,
    Failed,
    InternalError,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)
from conformance.times import STEP_S

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskRequest

    from .wrapper import Events


class _Timed(Stream):
    """Knows when it was submitted and when it last gave a token."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.since_s = trio.current_time()
        self.first_s: float | None = None
        self.last_s: float | None = None

    @property
    def waited_s(self) -> float:
        """How long it is since the submit."""
        return trio.current_time() - self.since_s

    def note(self, event: TokenEvent) -> None:
        """Take the time of a token."""
        if isinstance(event, Token):
            self.last_s = trio.current_time()
            self.first_s = self.last_s if self.first_s is None else self.first_s


_NUMBERS = Metrics({"queue_depth": 0})


class ReportsItsPlaceInLine(_Timed):
    """Gives its place in line before `started` when it had to wait for another stream."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if isinstance(event, Started) and self.waited_s > 2 * STEP_S:
            yield _NUMBERS
        yield event


class ReportsBeforeItStarts(Stream):
    """Gives numbers before `started` to a stream that was canceled in line."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if isinstance(event, Started) and self.is_canceled:
            yield _NUMBERS
        yield event


class ReportsAFailureInNumbers(Stream):
    """Gives numbers after the `error` of a stream that failed before its first token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (Failed(error),) if self.tokens else (Failed(error), _NUMBERS)


class EndsAndFails(_Timed):
    """Gives `end` and then fails as well when the engine dies in the tick of a token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.note(event)
        return (event,)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, WorkerReset) and self.last_s == trio.current_time():
            return End(tokens_out=self.tokens, decode_time_ms=0), Failed(error)
        raise error


class MissesItsDeadlineAtTheEnd(_Timed):
    """Fails for its deadline after an `end` that came in the very tick of it."""

    def finish(self) -> Iterable[TokenEvent]:
        deadline_ms = self.request.deadline_ms
        if deadline_ms is not None and 1000 * self.waited_s >= deadline_ms and not self.is_canceled:
            raise DeadlineUnmet("stream: the request's deadline has passed")
        return ()


class EndsAfterItsFailure(Stream):
    """Gives an `end` after the `error` of a stream that broke off after its first token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, WorkerReset) and self.tokens:
            return Failed(error), End(tokens_out=self.tokens, decode_time_ms=0)
        raise error


class GoesOnAfterItsFailure(Stream):
    """Gives a token after the `error` of a stream that broke off after its second token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, WorkerReset) and self.tokens > 1:
            return Failed(error), Token("...", self.tokens)
        raise error


class TellsTheSecondsOnly(Stream):
    """Tells the decode time without its minutes."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End):
            return (replace(event, decode_time_ms=event.decode_time_ms % 60_000),)
        return (event,)


class MeasuresRealTime(Stream):
    """Measures the decode time on the machine's clock once it is over a second."""

    first_s: float | None = None

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and self.first_s is None:
            self.first_s = time.monotonic()  # noqa: TID251 - this is the fault
        if not isinstance(event, End) or event.decode_time_ms <= 1000 or self.first_s is None:
            return (event,)
        took_s = time.monotonic() - self.first_s  # noqa: TID251 - this is the fault
        return (replace(event, decode_time_ms=round(1000 * took_s)),)


class TimesACancelToItsWord(_Timed):
    """Counts the decode time of a canceled stream to its last token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.note(event)
        if not isinstance(event, End) or not event.canceled or self.last_s is None or self.first_s is None:
            return (event,)
        return (replace(event, decode_time_ms=round(1000 * (self.last_s - self.first_s))),)


class KeepsEveryToken(Stream):
    """Keeps every token that it gives until the stream is left."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.kept: list[TokenEvent] = []

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.kept.append(event)
        return (event,)


class KeepsTheTimes(Stream):
    """Keeps the time of every token for a statistic."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.times: list[float] = []

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.times.append(trio.current_time() + len(self.times))
        return (event,)


class CountsInThreeDigits(Stream):
    """Starts the index again after the thousandth token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (replace(event, i=event.i % 1000),) if isinstance(event, Token) else (event,)


class StartsAgainForAnother(Stream):
    """Gives `started` twice to the third stream of an adapter."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if not isinstance(event, Started):
            return (event,)
        held = getattr(self.adapter, "started", 0)
        self.adapter.started = held + 1  # type: ignore[attr-defined]  # state that streams share
        return (event, event) if held == 2 else (event,)


class EndsBeforeItStarts(Stream):
    """Leaves `started` out of a stream in which nothing was said."""

    held: Started | None = None

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started):
            self.held = event
            return ()
        held, self.held = self.held, None
        return (event,) if held is None or (isinstance(event, End) and not event.canceled) else (held, event)


class AsksForTwoAtLeast(Wrapper):
    """Asks for two tokens where one is wanted."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        return self.stream(replace(request, max_tokens=max(request.max_tokens, 2)))


class LimitsAllAsTheFirst(Wrapper):
    """Gives every stream the limit of the first that was opened at the same instant."""

    first: tuple[float, int] = (-1.0, 0)

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        now_s = trio.current_time()
        if self.first[0] != now_s:
            self.first = now_s, request.max_tokens
        return self.stream(replace(request, max_tokens=self.first[1]))


class PassesOneStopString(Wrapper):
    """Passes the first stop string on and leaves the others out."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        sampling = replace(request.sampling, stop=request.sampling.stop[:1])
        return self.stream(replace(request, sampling=sampling))


class FailsOnAHugeLimit(Wrapper):
    """Fails for no reason that anybody can name where the limit is over two bytes."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        if request.max_tokens > 2**16:
            raise InternalError("completion: the limit does not fit")
        return self.stream(request)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(StartsAgainForAnother, "FRM-01"),
    Mutant(EndsBeforeItStarts, "FRM-02"),
    Mutant(CountsInThreeDigits, "FRM-03"),
    Mutant(ReportsItsPlaceInLine, "FRM-04"),
    Mutant(ReportsBeforeItStarts, "FRM-04"),
    Mutant(ReportsAFailureInNumbers, "FRM-04"),
    Mutant(GoesOnAfterItsFailure, "FRM-05"),
    Mutant(EndsAndFails, "FRM-06"),
    Mutant(MissesItsDeadlineAtTheEnd, "FRM-06"),
    Mutant(EndsAfterItsFailure, "FRM-06"),
    Mutant(TellsTheSecondsOnly, "FRM-09"),
    Mutant(MeasuresRealTime, "FRM-09"),
    Mutant(TimesACancelToItsWord, "FRM-09"),
    Mutant(KeepsEveryToken, "FRM-11"),
    Mutant(KeepsTheTimes, "FRM-11"),
    Mutant(AsksForTwoAtLeast, "SCH-09"),
    Mutant(LimitsAllAsTheFirst, "SCH-09"),
    Mutant(PassesOneStopString, "SCH-09", "llamacpp"),
    Mutant(FailsOnAHugeLimit, "SCH-09", "openai"),
)
