"""One completion of the llama.cpp double: the steps of a script on a slot, in the voice of the route.

The head goes out when a slot starts, not before; comments keep the line warm from then on; a token that ends inside a
character gives no frame; nothing follows an error frame; the connection is closed after each stream. With
`return_progress` the prompt is reported at its start and at its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import trio

from conformance.engines import made_up
from conformance.engines.play import play
from conformance.engines.script import Fail, Script, Text

from . import replies

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from conformance.engines.http1 import Exchange
    from conformance.engines.script import Die, Usage

    from .double import LlamaSettings
    from .requests import Completion
    from .slots import Slot, SlotPool
    from .voices import Voice

PING = b":\n\n"


class Server(Protocol):
    """What a generation needs of the server it runs in."""

    settings: LlamaSettings
    slots: SlotPool

    def die(self, down_s: float, loading_s: float) -> None:
        """End the process."""

    def load_model(self, seconds: float) -> None:
        """Load the model from now on."""

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation that holds a slot report `failure`."""


@final
class Generation:
    """One request that holds, or waits for, a slot."""

    def __init__(self, server: Server, exchange: Exchange, request: Completion, voice: Voice) -> None:
        self._server = server
        self._exchange = exchange
        self._request = request
        self._voice = voice
        self._slot: Slot | None = None
        self._usage: Usage | None = None
        self._text: list[str] = []
        self._work = trio.CancelScope()
        self._doom: Fail | None = None
        self._last_sent = self._prefill_ends_at = 0.0
        self._is_streaming = trio.Event()
        self.is_finished = False

    async def run(self, script: Script) -> None:
        """Wait for a slot, then play. The slot is given back on every way out, late if the client went away."""
        self._slot = await self._server.slots.take(self, self._request)
        try:
            with self._work:
                await self._play(script)
            if self._doom is not None:
                await self._report(self._doom)
        finally:
            self._let_go(self._notices_after_s() if self._exchange.gone.is_set() else 0.0)

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`; one that waits for a slot is in no batch."""
        if self._slot is not None:
            self._doom = failure
            self._work.cancel()

    async def accept(self) -> None:
        if not self._request.is_stream:
            return
        await self._exchange.start(200, "text/event-stream", replies.STREAMS)
        self._last_sent = trio.current_time()
        self._is_streaming.set()
        self._prefill_ends_at = trio.current_time() + self._server.settings.prefill_s
        await self._report_progress(is_done=False)
        await trio.sleep_until(self._prefill_ends_at)
        await self._report_progress(is_done=True)

    async def text(self, step: Text) -> None:
        counts = self._held().counts
        counts.predicted += step.tokens
        self._text.append(step.text)
        if step.tokens and self._request.is_stream:
            await self._send(self._voice.text(step.text, made_up.token_id(step.text), counts))

    async def ping(self) -> None:
        await self._exchange.send(PING)
        self._last_sent = trio.current_time()

    async def fail(self, step: Fail) -> None:
        if step.whole_batch:
            self._server.fail_batch(step)
            await trio.sleep_forever()
        await self._report(step)

    async def overload(self) -> None:
        self._let_go(0.0)
        with self._server.slots.overload():
            await trio.sleep_forever()

    async def load_model(self, seconds: float) -> None:
        self._server.load_model(seconds)
        if not self._exchange.is_started:
            body = replies.early_error(*LOADING)
            await self._exchange.answer(LOADING[0], body, replies.JSON, replies.CLOSES)

    def die(self, step: Die) -> None:
        self._server.die(step.down_s, step.loading_s)

    def count(self, usage: Usage) -> None:
        self._usage = usage

    async def finish(self, reason: str) -> None:
        slot, counts, text = self._held().id, self._counts(), "".join(self._text)
        self._let_go(0.0)
        self.is_finished = True
        if self._request.is_stream:
            await self._send(self._voice.ending(slot, reason, counts))
            await self._exchange.end(closes=True)
        else:
            body = self._voice.whole(text, slot, reason, counts)
            await self._exchange.answer(200, body, replies.JSON, replies.KEEPS_OPEN)

    async def make_up(self) -> None:
        await self.accept()
        room = self._server.settings.n_ctx - len(self._request.tokens)
        count = room if self._request.limit < 0 else min(self._request.limit, room)
        words, reason = made_up.answer(map(self._word, range(count)), self._request.stops)
        for word in words:
            await trio.sleep(self._server.settings.token_s)
            await self.text(Text(word))
        await self.finish(reason)

    async def _play(self, script: Script) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping_while_silent)
            await play(script, self, self._exchange)
            nursery.cancel_scope.cancel()

    async def _ping_while_silent(self) -> None:
        interval = self._server.settings.ping_s
        if interval is None:
            return
        await self._is_streaming.wait()
        while True:
            await trio.sleep_until(self._last_sent + interval)
            if trio.current_time() >= self._last_sent + interval:
                await self.ping()

    async def _report(self, failure: Fail) -> None:
        self._let_go(0.0)
        self.is_finished = True
        more: dict[str, JsonValue] = {}
        if failure.type == "exceed_context_size_error":
            more = {"n_prompt_tokens": len(self._request.tokens), "n_ctx": self._server.settings.n_ctx}
        body = replies.error(failure.status, failure.type, failure.message, **more)
        if not self._exchange.is_started:
            await self._exchange.answer(failure.status, body, replies.JSON, replies.CLOSES)
        elif self._server.settings.has_legacy_errors:
            words = body.removeprefix(b'{"error":').removesuffix(b"}")
            await self._exchange.send(b"error: " + words + b"\n\n" + self._voice.done)
            await self._exchange.end(closes=True)
        else:
            await self._exchange.send(b"data: " + body + b"\n\n")
            await self._exchange.end(closes=True)

    async def _report_progress(self, *, is_done: bool) -> None:
        if not self._request.given.get("return_progress"):
            return
        counts = self._held().counts
        time_ms = round(self._server.settings.prefill_s * 1000) if is_done else 0
        await self._send(self._voice.progress(counts, counts.prompt if is_done else counts.cached, time_ms))

    async def _send(self, frames: bytes) -> None:
        await self._exchange.send(frames)
        self._last_sent = trio.current_time()

    def _counts(self) -> replies.Counts:
        counts = self._held().counts
        if self._usage is None:
            return counts
        return replies.Counts(self._usage.tokens_in, counts.cached, self._usage.tokens_out)

    def _held(self) -> Slot:
        if self._slot is None:
            raise AssertionError("the generation has not begun")
        return self._slot

    def _let_go(self, after_s: float) -> None:
        self._server.slots.give_back(self._held(), self, after_s=after_s)

    def _notices_after_s(self) -> float:
        """How long after its client left the engine lets go: it notices only when it has something to write."""
        reports = self._request.given.get("return_progress")
        prefill_left_s = 0.0 if reports else self._prefill_ends_at - trio.current_time()
        return max(self._server.settings.release_s, prefill_left_s)

    def _word(self, number: int) -> str:
        given = self._request.given
        temperature = given.get("temperature")
        is_greedy = isinstance(temperature, int | float) and temperature <= 0
        seed = 0 if is_greedy else self._request.seed
        own = self._held().task or 0
        return made_up.word(self._request.prompt, own if seed is None else seed, number)


LOADING = (503, "unavailable_error", "Loading model")
