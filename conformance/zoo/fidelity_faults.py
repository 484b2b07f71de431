"""Adapters that do not pass on what they were given, or give something else another time."""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random
from typing import TYPE_CHECKING

import trio

from adapter_api import AdapterError, CorrelationId, End, Sampling, Token, TokenEvent, WorkerError
from conformance.times import TICK_S

from .animals import Mutant
from .plain.adapter import PlainAdapter
from .plain.events import EventReader
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import JsonValue, TaskRequest, WorkerAdapter

    from .wrapper import Events, Surroundings


class _Forwards(Wrapper):
    """Passes on what `changed` makes of a request."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return request

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        return super().submit(self.changed(request))


class IgnoresTheSeed(_Forwards):
    """Drops the seed of a request."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, seed=None)


class IgnoresTheSeedOfChats(_Forwards):
    """Drops the seed of a request with messages."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, seed=None) if request.messages else request


class LosesZeros(_Forwards):
    """Takes a parameter of zero for one that is not given."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        given = {field.name: getattr(request.sampling, field.name) for field in fields(Sampling)}
        kept = {name: value for name, value in given.items() if value}
        return replace(request, sampling=Sampling(**kept))


class SwapsPenalties(_Forwards):
    """Gives each of two penalties the other's name."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        given = request.sampling
        swapped = replace(given, presence_penalty=given.frequency_penalty, frequency_penalty=given.presence_penalty)
        return replace(request, sampling=swapped)


class HasATemperatureOfItsOwn(_Forwards):
    """Asks for a temperature of 0.7 where a request leaves it open."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        wanted = request.sampling.temperature
        return replace(request, sampling=replace(request.sampling, temperature=0.7 if wanted is None else wanted))


class RoundsItsParameters(_Forwards):
    """Rounds the temperature to one digit."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        wanted = request.sampling.temperature
        return replace(request, sampling=replace(request.sampling, temperature=wanted and round(wanted, 1)))


class SendsOneStopString(_Forwards):
    """Passes on the first stop string of several."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, sampling=replace(request.sampling, stop=request.sampling.stop[:1]))


class KeepsTheLastParameters(_Forwards):
    """Uses the parameters of the request before for one that gives none."""

    last = Sampling()

    def changed(self, request: TaskRequest) -> TaskRequest:
        if request.sampling != Sampling():
            self.last = request.sampling
        return replace(request, sampling=self.last)


class LeavesOutWhatItCannotSay(_Forwards):
    """Drops the fields that its engine has no word for."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        sampling = replace(request.sampling, top_k=None, min_p=None, repeat_penalty=None)
        return replace(request, sampling=sampling)


class CapsTheLimit(_Forwards):
    """Asks for more tokens than were wanted, where that is few."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, max_tokens=max(request.max_tokens, 4))


class NumbersItsLives(_Forwards):
    """Sends an id that goes on counting from one life to the next."""

    requests = 0

    def changed(self, request: TaskRequest) -> TaskRequest:
        NumbersItsLives.requests += 1
        return replace(request, correlation_id=CorrelationId(f"call-{self.requests}"))


class AddsANonce(_Forwards):
    """Sends a random id with a request that has none."""

    random = Random()  # not the context's, and seeded from the system

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, correlation_id=CorrelationId(f"{self.random.getrandbits(64):x}"))


class WaitsByChance(Stream):
    """Waits between tokens for a time of its own choice."""

    random = Random()  # as above

    async def _more(self) -> Iterable[TokenEvent]:
        events = await super()._more()
        await trio.sleep(self.random.randint(1, 64) * TICK_S)
        return events


class RacesItsEnd(Stream):
    """Reads in a task of its own and gives the end as soon as it is there, also before tokens that wait."""

    is_read = False

    async def _more(self) -> Iterable[TokenEvent]:
        if not self.is_read:
            self.is_read = True
            self.waiting: list[TokenEvent] = []
            self.ending: TokenEvent | WorkerError | None = None
            self.changed = trio.lowlevel.ParkingLot()
            self.adapter.around.tasks.start_soon(self._pump)
        while not self.waiting and self.ending is None:
            await self.changed.park()
        await trio.lowlevel.checkpoint()
        if self.ending is None:
            return (self.waiting.pop(0),)
        self._is_over = True
        if isinstance(self.ending, WorkerError):
            raise self.ending
        return (self.ending,)

    async def _pump(self) -> None:
        try:
            async for event in self.inner:
                if isinstance(event, End):
                    self.ending = event
                else:
                    self.waiting.append(event)
                self.changed.unpark_all()
        except WorkerError as failure:
            self.ending = failure
            self.changed.unpark_all()


class CountsOnForAll(Wrapper):
    """Counts the tokens of all its streams together."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _CountsTogether)
        self.live = 0
        self.count = 0


class _CountsTogether(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        keeper = self.adapter
        assert isinstance(keeper, CountsOnForAll)
        if event.kind == "started":
            keeper.count = keeper.count if keeper.live else 0
            keeper.live += 1
        keeper.count += isinstance(event, Token)
        if isinstance(event, End):
            keeper.live -= 1
            yield replace(event, tokens_in=keeper.count)
        else:
            yield event

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        assert isinstance(self.adapter, CountsOnForAll)
        self.adapter.live -= 1
        raise error


class TakesPiecesForEvents(EventReader):
    """Forgets the beginning of a line when a piece of the body ends within it, unless it is the first field."""

    def lines(self, piece: bytes) -> Iterator[bytes]:
        if self.rest and not self.rest.startswith(b"data"):
            self.rest.clear()
        yield from super().lines(piece)


class DropsLoneLineEnds(EventReader):
    """Drops a piece of the body that is nothing but a line end."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield from super().feed(b"" if piece == b"\n" else piece)


class DecodesPieceByPiece(EventReader):
    """Decodes the text of each piece by itself, with stand-ins for what is not whole."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield from super().feed(piece.decode(errors="replace").encode())


class RefusesWithoutAName(PlainAdapter):
    """Says of a field that it cannot be passed on, and not of which."""

    def check(self, request: TaskRequest) -> None:
        try:
            super().check(request)
        except AdapterError as refusal:
            raise AdapterError("the request cannot be passed on", blames_request=refusal.blames_request) from None


class LetsTheEngineRefuse(PlainAdapter):
    """Sends fields that the engine has no word for and leaves it to the engine to refuse them."""

    def check(self, request: TaskRequest) -> None:
        super().check(replace(request, sampling=Sampling()))

    def body(self, request: TaskRequest, model: str) -> tuple[str, dict[str, JsonValue]]:
        path, body = super().body(request, model)
        sampling = request.sampling
        more = {"top_k": sampling.top_k, "min_p": sampling.min_p, "repetition_penalty": sampling.repeat_penalty}
        return path, body | {name: value for name, value in more.items() if value is not None}


class TakesASeedForNothing(_Forwards):
    """Drops a seed that its engine cannot be told."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        return replace(request, seed=None)


class BlamesTheEngineForTheSeed(_Forwards):
    """Refuses a seed that its engine cannot be told as if that were nobody's fault."""

    def changed(self, request: TaskRequest) -> TaskRequest:
        if request.seed is not None:
            raise AdapterError("completion: the engine has no `seed`")
        return request


MUTANTS = (
    Mutant(IgnoresTheSeed, "DET-02"),
    Mutant(IgnoresTheSeedOfChats, "DET-02", "vllm"),
    Mutant(LosesZeros, "DET-02", "llamacpp"),
    Mutant(SwapsPenalties, "DET-02", "vllm"),
    Mutant(HasATemperatureOfItsOwn, "DET-02", "tgi"),
    Mutant(RoundsItsParameters, "DET-02", "openai"),
    Mutant(SendsOneStopString, "DET-02", "triton-grpc"),
    Mutant(KeepsTheLastParameters, "DET-02"),
    Mutant(LeavesOutWhatItCannotSay, "DET-02", "openai"),
    Mutant(CapsTheLimit, "DET-02", "triton"),
    Mutant(NumbersItsLives, "DET-03", "llamacpp"),
    Mutant(AddsANonce, "DET-03", "openai"),
    Mutant(WaitsByChance, "DET-03"),
    Mutant(RacesItsEnd, "DET-04"),
    Mutant(CountsOnForAll, "DET-04"),
    Mutant(TakesPiecesForEvents, "DET-05", "plain"),
    Mutant(DropsLoneLineEnds, "DET-05", "plain"),
    Mutant(DecodesPieceByPiece, "DET-05", "plain"),
    Mutant(RefusesWithoutAName, "SCH-08", "plain"),
    Mutant(LetsTheEngineRefuse, "SCH-08", "plain"),
    Mutant(TakesASeedForNothing, "DET-06", "openai-responses"),
    Mutant(BlamesTheEngineForTheSeed, "DET-06", "openai-responses"),
)
