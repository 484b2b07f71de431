"""One generation of the TGI double: the steps of a script as tokens in the route's voice.

The server looks for a permit, then validates, then queues for a place in the batch. On a stream the head may be out
before any of that, so every refusal is a frame inside a 200. Each token is a frame, one without text too; the last
frame carries a token of its own and the whole text: the end-of-text token after a normal end, the last text otherwise.
A text that is followed by nothing but such an end is therefore held until it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, final

import trio

from conformance.engines import made_up
from conformance.engines.play import play
from conformance.engines.script import Fail, Finish, Script, Text, Usage

from . import replies, tokens
from .replies import Outcome, Token
from .validation import Invalid, validate

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from adapter_api import JsonValue
    from conformance.engines.http1 import Exchange
    from conformance.engines.script import Die, Step
    from conformance.engines.seats import Seats

    from .double import TgiSettings
    from .requests import Generation as Asked
    from .voices import Voice

EOS = Token(tokens.EOS, tokens.EOS_TEXT, is_special=True)
OVERLOADED = Fail(429, "overloaded", "Model is overloaded")
_BEFORE_STREAMS = frozenset({"template_error", "missing_template_variable", "tool_error"})
_KINDS = {429: "overloaded", 422: "validation", 424: "generation", 503: "healthcheck"}


class Server(Protocol):
    """What a generation needs of the server it runs in."""

    settings: TgiSettings
    seats: Seats

    def permit(self) -> AbstractContextManager[None]:
        """Hold a permit; raise `Overloaded` if there is none."""

    def count(self, outcome: str) -> None:
        """Count a request that ended in this way: `success`, or the reason of a failure."""

    def die(self, down_s: float, loading_s: float) -> None:
        """End the process."""

    def load_model(self, seconds: float) -> None:
        """Load the model from now on."""

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation of the batch report `failure`."""


class Overloaded(Exception):
    """No permit is left."""


@final
class Generation:
    """One request for text, from its permit to its last token."""

    def __init__(self, server: Server, exchange: Exchange, asked: Asked, voice: Voice) -> None:
        self._server = server
        self._exchange = exchange
        self._asked = asked
        self._voice = voice
        self._tokens: list[Token] = []
        self._held: Token | None = None  # made and not yet told, because it is the last one
        self._texts_to_come = 0
        self._holds_last_text = False
        self._usage: Usage | None = None
        self._work = trio.CancelScope()
        self._doom: Fail | None = None
        self._is_seated = False
        self._last_sent = 0.0
        self._is_streaming = trio.Event()
        self.is_finished = False

    async def run(self, script: Script) -> None:
        """Find room, then play. Whatever the way out, the permit is free at once and the place at the next token."""
        try:
            with self._server.permit():
                validate(self._asked, self._server.settings.limits)
                await self._run_in_batch(script)
        except Overloaded:
            await self._report(OVERLOADED)
        except Invalid as wrong:
            await self._report(Fail(replies.STATUSES[wrong.kind], wrong.kind, wrong.message))
        finally:
            if not self.is_finished:
                self._server.count("dropped")

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`; one that still waits for the batch is not hit."""
        if self._is_seated:
            self._doom = failure
            self._work.cancel()

    async def accept(self) -> None:
        await self._open()
        await trio.sleep(self._server.settings.prefill_s)

    async def text(self, step: Text) -> None:
        self._texts_to_come -= 1
        if not step.tokens:
            return
        for place in range(step.tokens - 1):  # tokens that end inside the character have no text yet
            await self._tell(Token(made_up.token_id(f"{step.text}/{place}"), ""))
        token = _said(step.text)
        if self._holds_last_text and not self._texts_to_come:
            self._held = token
        else:
            await self._tell(token)

    async def ping(self) -> None:
        if self._asked.is_stream:
            await self._exchange.send(replies.PING)
            self._last_sent = trio.current_time()

    async def fail(self, step: Fail) -> None:
        if step.whole_batch:
            self._server.fail_batch(step)
            await trio.sleep_forever()
        await self._report(step)

    async def overload(self) -> None:
        await self._report(OVERLOADED)

    async def load_model(self, seconds: float) -> None:
        self._server.load_model(seconds)
        await trio.lowlevel.checkpoint()  # nothing listens while it loads: this connection is reset

    def die(self, step: Die) -> None:
        self._server.die(step.down_s, step.loading_s)

    def count(self, usage: Usage) -> None:
        self._usage = usage

    async def finish(self, reason: str) -> None:
        held = self._held or (EOS if reason == "stop" else Token(tokens.token_id(""), ""))
        self._tokens.append(held)
        outcome = self._outcome(replies.FINISH_REASONS.get(reason, reason))
        self.is_finished = True
        self._server.count("success")
        if self._asked.is_stream:
            await self._exchange.send(self._voice.frame(len(self._tokens), held, outcome))
            await self._exchange.end()
        else:
            body = replies.dump(self._voice.whole(outcome))
            await self._exchange.answer(200, body, replies.JSON, (*self._headers(), *_timings(outcome)))

    async def make_up(self) -> None:
        await self.accept()
        seed = self._seed if self._asked.parameters.draws else 0
        made = (made_up.word(self._asked.prompt, seed, number) for number in range(self._asked.limit))
        words, reason = made_up.answer(made, self._asked.parameters.stop, keeps_stop=True)
        self._holds_last_text, self._texts_to_come = True, len(words)
        for word in words:
            await trio.sleep(self._server.settings.token_s)
            await self.text(Text(word))
        await self.finish(reason)

    async def _run_in_batch(self, script: Script) -> None:
        self._look_ahead(script.steps)
        seats = self._server.seats
        seats.admit(self)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ping_while_silent)
                with self._work:
                    await self._wait_for_the_batch()
                    await play(script, self, self._exchange)
                if self._doom is not None:
                    await self._report(self._doom)
                nursery.cancel_scope.cancel()
        finally:
            has_lost_its_client = self._exchange.gone.is_set() and not self.is_finished
            seats.leave(self, after_s=self._server.settings.release_s if has_lost_its_client else 0.0)

    async def _wait_for_the_batch(self) -> None:
        if self._server.seats.running >= self._server.settings.batch:
            await self._open()
        await self._server.seats.take(self)
        self._is_seated = True

    def _look_ahead(self, steps: tuple[Step, ...]) -> None:
        """Note whether the script's last text is the last token, which then tells the end."""
        self._texts_to_come = sum(isinstance(step, Text) for step in steps)
        spoken = [step for step in steps if not isinstance(step, Usage)]
        match spoken[-2:]:
            case [Text(tokens=tokens), Finish(reason=reason)]:
                self._holds_last_text = tokens > 0 and reason != "stop"
            case _:
                self._holds_last_text = False

    async def _tell(self, token: Token) -> None:
        self._tokens.append(token)
        if self._asked.is_stream:
            await self._exchange.send(self._voice.frame(len(self._tokens), token, None))
            self._last_sent = trio.current_time()

    async def _report(self, failure: Fail) -> None:
        kind = failure.type or _KINDS.get(failure.status, "incomplete_generation")
        self.is_finished = True
        self._server.count(kind)
        if not self._asked.is_stream or (kind in _BEFORE_STREAMS and not self._exchange.is_started):
            body = replies.dump(replies.error(kind, failure.message))
            await self._exchange.answer(failure.status, body, replies.JSON, replies.CORS)
            return
        await self._open()
        await self._exchange.send(self._voice.failing(kind, failure.message))
        await self._exchange.end()

    async def _open(self) -> None:
        """Send the head of a stream, once."""
        if self._asked.is_stream and not self._exchange.is_started:
            await self._exchange.start(200, replies.EVENTS, self._headers())
            self._last_sent = trio.current_time()
            self._is_streaming.set()

    async def _ping_while_silent(self) -> None:
        interval = self._server.settings.ping_s
        if interval is None:
            return
        await self._is_streaming.wait()
        while True:
            await trio.sleep_until(self._last_sent + interval)
            if trio.current_time() >= self._last_sent + interval:
                await self.ping()

    @property
    def _seed(self) -> int:
        given = self._asked.parameters.seed
        return self._server.settings.random_seed if given is None else given

    def _outcome(self, reason: str) -> Outcome:
        told = self._usage or Usage(len(self._asked.tokens), len(self._tokens))
        text = "".join(token.text for token in self._tokens if not token.is_special)
        return Outcome(
            text=self._asked.echo + text,
            reason=reason,
            tokens_in=told.tokens_in,
            tokens_out=told.tokens_out,
            seed=self._seed if self._asked.parameters.draws else None,
            tokens=self._tokens,
            prefill=tokens.tokenize(self._asked.prompt, adds_bos=True),
        )

    def _headers(self) -> tuple[tuple[str, str], ...]:
        characters = ("x-compute-characters", str(len(self._asked.prompt)))
        streams = (("x-accel-buffering", "no"), ("cache-control", "no-cache")) if self._asked.is_stream else ()
        return (*replies.CORS, ("x-compute-type", "cpu"), characters, *streams)


@lru_cache(maxsize=16)
def _said(text: str) -> Token:
    """Return the token of a text: the same one for a word that is said again and again, all of which are kept."""
    return Token(tokens.token_id(text), text)


def _timings(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the headers that an answer in one piece has beyond a stream's; times are in milliseconds."""
    times: dict[str, JsonValue] = {
        "x-compute-time": 0.012,
        "x-total-time": 12,
        "x-validation-time": 1,
        "x-queue-time": 1,
        "x-inference-time": 10,
        "x-time-per-token": 1,
        "x-prompt-tokens": outcome.tokens_in,
        "x-generated-tokens": outcome.tokens_out,
    }
    return [(name, str(value)) for name, value in times.items()]
