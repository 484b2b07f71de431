"""One completion of a server that speaks OpenAI's HTTP: the steps of a script in that server's voice.

The head goes out at admission, before there is a seat, and silence follows; nothing is sent until there is text. An
engine's `Voice` makes the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

import trio

from . import made_up
from .openai_wire import EVENTS, JSON, Asked, Counts
from .play import play
from .script import Fail, Script, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .http1 import Exchange
    from .script import Die, Usage
    from .seats import Seats


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things take, in seconds.

    A prompt, a token of made-up text, and letting go of a request whose client has left.
    """

    prefill_s: float = 0.0
    token_s: float = 0.0
    release_s: float = 0.0


class Voice(Protocol):
    """How one server says things to one request; each method returns bytes of the body."""

    ping: bytes
    """A comment, for servers or proxies that send some."""

    def greeting(self) -> bytes:
        """Return what goes out with the head of a stream."""

    def opening(self, counts: Counts) -> bytes:
        """Return what comes before the first text of a stream."""

    def text(self, text: str, counts: Counts) -> bytes:
        """Return a piece of text, and whatever belongs to it."""

    def ending(self, text: str, reason: str, counts: Counts) -> bytes:
        """Return the end of a stream, with the last piece of text if it carries any."""

    def failing(self, failure: Fail) -> bytes:
        """Return an error in the stream, and what follows it."""

    def whole(self, text: str, reason: str, counts: Counts) -> bytes:
        """Return an answer in one piece."""

    def refusal(self, failure: Fail) -> tuple[bytes, str]:
        """Return the body of an HTTP error and its content type."""

    def headers(self, failure: Fail | None = None) -> Iterable[tuple[str, str]]:
        """Return the headers of an answer beyond type and length, or those of an HTTP error."""


class Server(Protocol):
    """What a generation needs of the server it runs in."""

    seats: Seats

    def die(self, down_s: float, loading_s: float) -> None:
        """End the process."""

    def load_model(self, seconds: float) -> None:
        """Load the model from now on."""

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation report `failure`."""

    def ended(self, reason: str, counts: Counts) -> None:
        """Note how a request ended; `abort` where its client left."""

    def overload(self) -> Fail | None:
        """Return how a request is refused that finds no room; None if it waits."""


@final
class OpenAiGeneration:
    """One request that was admitted."""

    def __init__(self, server: Server, exchange: Exchange, asked: Asked, voice: Voice, pace: Pace) -> None:
        self._server = server
        self._exchange = exchange
        self._asked = asked
        self._voice = voice
        self._pace = pace
        self._counts = Counts(len(asked.tokens))
        self._said: list[str] = []
        self._usage: Usage | None = None
        self._work = trio.CancelScope()
        self._doom: Fail | None = None
        self._is_open = False
        self.is_finished = False

    async def run(self, script: Script) -> None:
        """Play the script; `Full` if there is no room. The seat is free afterwards, late if the client went away."""
        self._server.seats.admit(self)
        try:
            with self._work:
                await play(script, self, self._exchange)
            if self._doom is not None:
                await self.fail(self._doom)
        finally:
            self._leave()

    def _leave(self) -> None:
        has_left = self._exchange.gone.is_set() and not self.is_finished
        self._server.seats.leave(self, after_s=self._pace.release_s if has_left else 0.0)
        if has_left:
            self._server.ended("abort", self._counts)

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`."""
        self._doom = failure
        self._work.cancel()

    async def accept(self) -> None:
        await self._start()
        await self._server.seats.take(self)
        await trio.sleep(self._pace.prefill_s)

    async def text(self, step: Text) -> None:
        await self._open()
        self._counts.completion += step.tokens
        self._said.append(step.text)
        if self._asked.is_stream:
            await self._exchange.send(self._voice.text(step.text, self._counts))

    async def ping(self) -> None:
        if self._asked.is_stream:
            await self._exchange.send(self._voice.ping)

    async def fail(self, step: Fail) -> None:
        if step.whole_batch and self._doom is None:
            self._server.fail_batch(step)
            await trio.sleep_forever()
        self.is_finished = True
        self._server.seats.leave(self)
        if self._exchange.is_started:
            await self._exchange.send(self._voice.failing(step))
            await self._exchange.end()
        else:
            body, kind = self._voice.refusal(step)
            await self._exchange.answer(step.status, body, kind, self._voice.headers(step))

    async def overload(self) -> None:
        refusal = self._server.overload()
        if refusal is not None:
            await self.fail(refusal)
            return
        await self._start()
        await trio.sleep_forever()

    async def load_model(self, seconds: float) -> None:
        self._server.load_model(seconds)
        await trio.lowlevel.checkpoint()

    def die(self, step: Die) -> None:
        self._server.die(step.down_s, step.loading_s)

    def count(self, usage: Usage) -> None:
        self._usage = usage

    async def finish(self, reason: str) -> None:
        await self._end("", reason)

    async def make_up(self) -> None:
        await self.accept()
        made = map(self._word, range(max(self._asked.limit, 1)))
        words, reason = made_up.answer(made, self._asked.stops)
        for word in words[:-1]:
            await trio.sleep(self._pace.token_s)
            await self.text(Text(word))
        await self._open()
        self._counts.completion += len(words[-1:])
        await trio.sleep(self._pace.token_s)
        await self._end("".join(words[-1:]), reason)

    async def _start(self) -> None:
        if self._asked.is_stream and not self._exchange.is_started:
            await self._exchange.start(200, EVENTS, self._voice.headers())
            await self._exchange.send(self._voice.greeting())

    def _word(self, number: int) -> str:
        return made_up.word(self._asked.prompt, self._asked.seed, number)

    async def _open(self) -> None:
        if not self._is_open and self._asked.is_stream:
            self._is_open = True
            await self._exchange.send(self._voice.opening(self._counts))

    async def _end(self, text: str, reason: str) -> None:
        await self._open()
        counts = self._final_counts()
        self._server.seats.leave(self)
        self._server.ended(reason, counts)
        self.is_finished = True
        if self._asked.is_stream:
            await self._exchange.send(self._voice.ending(text, reason, counts))
            await self._exchange.end()
        else:
            body = self._voice.whole("".join((*self._said, text)), reason, counts)
            await self._exchange.answer(200, body, JSON, self._voice.headers())

    def _final_counts(self) -> Counts:
        if self._usage is None:
            return self._counts
        return Counts(self._usage.tokens_in, self._usage.tokens_out)
