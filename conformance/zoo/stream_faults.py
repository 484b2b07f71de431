"""Broken streams: order, indices, payloads, text, the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio

from adapter_api import End, Failed, FinishReason, Metrics, Started, Token, TokenEvent, WorkerError, WorkerReset
from conformance.times import STEP_S

from .animals import Mutant
from .wrapper import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapter_api import JsonValue, TaskRequest

    from .wrapper import Events, Wrapper


class StartsTwice(Stream):
    """Gives `started` again when the first token was long in coming."""

    started: tuple[float, Started] | None = None

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if isinstance(event, Started):
            self.started = trio.current_time(), event
        elif isinstance(event, Token) and self.started and trio.current_time() - self.started[0] > STEP_S:
            yield self.started[1]
            self.started = None
        yield event


class SpeaksBeforeItStarts(Stream):
    """Gives the first event before `started` when both come at the same time."""

    held: tuple[float, Started] | None = None

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if isinstance(event, Started):
            self.held = trio.current_time(), event
            return
        held, self.held = self.held, None
        is_late = held is not None and held[0] == trio.current_time()
        yield from (event, *held[1:]) if held and is_late else (*(held or ())[1:], event)


class RepeatsAnIndex(Stream):
    """Repeats the index of the token before, only after a pause."""

    behind = 0
    last_s: float | None = None

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if not isinstance(event, Token):
            return (event,)
        if self.last_s is not None and trio.current_time() - self.last_s >= STEP_S:
            self.behind = 1
        self.last_s = trio.current_time()
        return (replace(event, i=event.i - self.behind),)


class CountsForAll(Stream):
    """Counts the tokens of all streams with one counter."""

    counts: dict[Wrapper, int] = {}  # noqa: RUF012 - shared state is the fault

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if not isinstance(event, Token):
            return (event,)
        count = self.counts.get(self.adapter, 0)
        self.counts[self.adapter] = count + 1
        return (replace(event, i=count),)


class TakesACutForTheEnd(Stream):
    """Ends well when the engine's stream breaks off after a token."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, WorkerReset) and self.tokens:
            return (End(tokens_out=self.tokens, decode_time_ms=0),)
        raise error


class ReportsAfterTheEnd(Stream):
    """Gives numbers after `end`."""

    def finish(self) -> Iterable[TokenEvent]:
        return (Metrics({"queue_depth": 0}),)


class ForgetsTheEnd(Stream):
    """Ends without a terminal event, only when nothing was said."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return () if isinstance(event, End) and not self.tokens else (event,)


class NeverStops(Stream):
    """Waits for more after `end`."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self._is_over = isinstance(event, End)
        return (event,)

    async def __anext__(self) -> TokenEvent:
        if self._is_over and not self._ready:
            await trio.sleep_forever()
        return await super().__anext__()


class SaysNothingAloud(Stream):
    """Gives a token without text before the end, as some engines do."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (Token("", self.tokens), event) if isinstance(event, End) and self.tokens else (event,)


class CutsCharacters(Stream):
    """Cuts what is beyond the basic plane into two surrogates."""

    index = 0

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        for piece in _units(event.t) if isinstance(event, Token) else ():
            yield Token(piece, self.index)
            self.index += 1
        if not isinstance(event, Token):
            yield event


def _units(text: str) -> list[str]:
    wire = text.encode("utf-16-le")
    if len(wire) == 2 * len(text):
        return [text]
    return [wire[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(wire), 2)]


class CleansTheText(Stream):
    """Takes rare line ends for plain ones."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (replace(event, t=event.t.replace("\u2028", "\n")),) if isinstance(event, Token) else (event,)


class HoldsEverythingBack(Stream):
    """Gives all tokens at the end."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.held: list[TokenEvent] = []

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self.held.append(event)
        return ()

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        return (*self.held, Failed(error))

    def finish(self) -> Iterable[TokenEvent]:
        return self.held


class CountsNoTokens(Stream):
    """Reports no tokens where the engine reports more than there were frames."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        is_more = isinstance(event, End) and event.tokens_out > self.tokens
        return (replace(event, tokens_out=0),) if isinstance(event, End) and is_more else (event,)


class TimesTheWait(Stream):
    """Counts the decode time from the submit."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.since_s = trio.current_time()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        took_ms = round((trio.current_time() - self.since_s) * 1000)
        return (replace(event, decode_time_ms=took_ms),) if isinstance(event, End) else (event,)


class CallsEveryEndAStop(Stream):
    """Reports every end as `stop`."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End) and event.finish_reason is FinishReason.LENGTH:
            return (replace(event, finish_reason=FinishReason.STOP),)
        return (event,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TalkativeEnd(End):
    """An end with the engine's own field in it."""

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload and one field too many."""
        return {"tokens_out": 0, "decode_time_ms": 0, "decode_ms": 0, "finish_reason": "stop", "stop_type": "eos"}


class PassesTheEnginesFields(Stream):
    """Adds a field of the engine's to `end` when there was no token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        is_empty = isinstance(event, End) and not event.canceled and not self.tokens
        return (_TalkativeEnd(tokens_out=0, decode_time_ms=0),) if is_empty else (event,)


class CountsInFractions(Stream):
    """Reports a count as 3.0 instead of 3."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End):
            return (replace(event, tokens_out=float(event.tokens_out)),)  # type: ignore[arg-type]  # the fault
        return (event,)


class KeepsTheSeedToItself(Stream):
    """Leaves the seed out of `started` when a sampler profile is named."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Started) and event.sampler_profile_version:
            return (replace(event, seed=None),)
        return (event,)


class CountsBackwards(Stream):
    """Reports a time before the beginning when there was no token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        is_empty = isinstance(event, End) and not self.tokens
        return (replace(event, decode_time_ms=-1),) if isinstance(event, End) and is_empty else (event,)


class TakesSilenceForFailure(Stream):
    """Fails when the engine ends without having said anything."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        is_empty = isinstance(event, End) and not (self.tokens or event.canceled or self.request.inputs)
        if is_empty:
            raise WorkerReset("stream: the engine said nothing")
        return (event,)


class HangsOnSilence(Stream):
    """Goes on waiting for a token when the engine ends without having said anything."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if isinstance(event, End) and not self.tokens:
            await trio.sleep_forever()
        return event


@dataclass(frozen=True, slots=True)
class _Usage:
    """An event of a kind that there is not."""

    kind = "usage"
    data = MappingProxyType({"tokens": 1})


class InventsAKind(Stream):
    """Gives an event of a sixth kind before the end."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (_Usage(), event) if isinstance(event, End) and self.tokens else (event,)  # type: ignore[return-value]


class ReadsAhead(Stream):
    """Reads the engine's whole answer at the first token, however long the consumer takes."""

    async def _more(self) -> Iterable[TokenEvent]:
        first = await super()._more()
        return (*first, *[event async for event in self.inner]) if self.tokens else first


class MixesStreams(Stream):
    """Keeps the last token in a place that all streams share."""

    last = ""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        if not isinstance(event, Token):
            return event
        MixesStreams.last = event.t
        await trio.lowlevel.checkpoint()
        return replace(event, t=MixesStreams.last)


MUTANTS = (
    Mutant(StartsTwice, "FRM-01"),
    Mutant(SpeaksBeforeItStarts, "FRM-02"),
    Mutant(RepeatsAnIndex, "FRM-03"),
    Mutant(CountsForAll, "FRM-03"),
    Mutant(ReportsAfterTheEnd, "FRM-05"),
    Mutant(CleansTheText, "FRM-07"),
    Mutant(HoldsEverythingBack, "FRM-08"),
    Mutant(TakesSilenceForFailure, "FRM-10"),
    Mutant(TakesACutForTheEnd, "FRM-13"),
    Mutant(SaysNothingAloud, "FRM-14"),
    Mutant(CutsCharacters, "FRM-14"),
    Mutant(InventsAKind, "FRM-15"),
    Mutant(ForgetsTheEnd, "LIF-03"),
    Mutant(NeverStops, "LIF-04"),
    Mutant(HangsOnSilence, "LIF-10"),
    Mutant(CountsBackwards, "SCH-01"),
    Mutant(PassesTheEnginesFields, "SCH-03"),
    Mutant(CountsInFractions, "SCH-04"),
    Mutant(CallsEveryEndAStop, "SCH-06"),
    Mutant(CountsNoTokens, "SCH-07"),
    Mutant(TimesTheWait, "SCH-07"),
    Mutant(KeepsTheSeedToItself, "DET-01"),
    Mutant(MixesStreams, "CON-01"),
    Mutant(ReadsAhead, "CON-03"),
)
