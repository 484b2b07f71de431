"""One request for text: the steps of a script as responses of a model, whatever protocol carries them.

Work belongs to the server, not to the connection: over HTTP a client that leaves before the first response is noticed
only when that response is to be written, since the server does not read meanwhile. Nothing goes out before the first
response; there are no signs of life. The end has no marker but the end of the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import trio

from conformance.engines.play import play
from conformance.engines.script import Text, Usage

from .failures import Code, Refused
from .speaker import Speaker, read_asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.engines.play import Wire
    from conformance.engines.script import Die, Fail, Script

    from .models import Dialect
    from .queue import Place, Queue
    from .requests import InferRequest
    from .settings import TritonSettings
    from .statistics import Tally
    from .tensors import Tensor


class Sink(Protocol):
    """Where the responses of one inference go."""

    @property
    def is_started(self) -> bool:
        """Whether a byte has gone out."""

    @property
    def is_gone(self) -> bool:
        """Whether the client has left."""

    @property
    def notices_at_once(self) -> bool:
        """Whether the server hears of a client that leaves before anything was written."""

    async def respond(self, outputs: tuple[Tensor, ...], *, is_last: bool) -> None:
        """Send one response."""

    async def fail(self, failure: Refused) -> None:
        """Send an error as the last response."""

    async def refuse(self, failure: Refused) -> None:
        """Answer with an error as if the request had never been taken."""

    async def complete(self) -> None:
        """Say that no response follows."""


class Server(Protocol):
    """What a generation needs of the server it runs in."""

    settings: TritonSettings
    queue: Queue
    nursery: trio.Nursery

    def tally(self, request: InferRequest) -> Tally:
        """Return the counts of the request's model."""

    def die(self, down_s: float, loading_s: float) -> None:
        """End the process."""

    def load_model(self, seconds: float) -> None:
        """Load the model from now on."""

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation report `failure`."""


@final
class Generation:
    """One request, from the queue to its last response; it is a `Job`, and the `Stage` of its script."""

    def __init__(self, server: Server, request: InferRequest, dialect: Dialect, sink: Sink, wire: Wire) -> None:
        self.request = request
        self.is_finished = False
        self.on_end: Callable[[Generation], None] = _ignore
        self._server = server
        self._dialect = dialect
        self._sink = sink
        self._wire = wire
        self._speaker: Speaker | None = None
        self._place: Place | None = None
        self._work = trio.CancelScope()
        self._doom: Refused | None = None
        self._failure: str | None = None
        self._over = trio.Event()
        self._began_at = self._placed_at = trio.current_time()

    async def run(self, script: Script) -> None:
        """Have the server play the script. Cancelled: the server works on until it notices."""
        self._server.nursery.start_soon(self._live, script)
        try:
            await self._over.wait()
        finally:
            if not self._over.is_set():
                self._leave()

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`."""
        self.break_off(Refused.of_status(failure.status, failure.message))

    def break_off(self, failure: Refused) -> None:
        """Break off and report `failure` as the last response."""
        self._doom = failure
        self._work.cancel()

    def drop(self) -> None:
        """Stop at once, without a word: the process is gone."""
        self._doom = None
        self._work.cancel()

    async def accept(self) -> None:
        await trio.sleep(self._server.settings.prefill_s)

    async def text(self, step: Text) -> None:
        speaker = self._voice()
        if speaker.asked.is_stream:
            await self._respond(speaker.piece(step.text, step.tokens))
        else:
            speaker.hear(step.text, step.tokens)

    async def ping(self) -> None:
        """There is none."""
        await trio.lowlevel.checkpoint()

    async def fail(self, step: Fail) -> None:
        if step.whole_batch:
            self._server.fail_batch(step)
            await trio.sleep_forever()
        await self._report(Refused.of_status(step.status, step.message, step.type), in_stream=step.in_stream)

    async def overload(self) -> None:
        if self._place is not None:
            self._place.give_back()
        with self._server.queue.overload(self.request):
            await trio.sleep_forever()

    async def load_model(self, seconds: float) -> None:
        self._server.load_model(seconds)
        await self._report(not_ready(self.request), in_stream=False)

    def die(self, step: Die) -> None:
        self._server.die(step.down_s, step.loading_s)

    def count(self, usage: Usage) -> None:
        """The counts of a script are known from its beginning."""

    async def finish(self, reason: str) -> None:
        speaker = self._voice()
        if not speaker.asked.is_stream or speaker.has_last_response:
            await self._respond(speaker.last(reason), is_last=self._server.settings.flags_last)
        await self._complete()

    async def make_up(self) -> None:
        await self.accept()
        speaker = self._voice()
        words, reason = speaker.answer()
        for word in words:
            await trio.sleep(self._server.settings.token_s)
            await self.text(Text(word))
        await self.finish(reason)

    async def _live(self, script: Script) -> None:
        try:
            with self._work:
                await self._take_and_play(script)
            if self._doom is not None and not self._sink.is_gone:
                await self._report(self._doom, in_stream=True)
        finally:
            self._note_end()
            self.on_end(self)
            self._over.set()

    async def _take_and_play(self, script: Script) -> None:
        try:
            async with self._server.queue.place(self.request) as self._place:
                self._placed_at = trio.current_time()
                usage = next((step for step in script.steps if isinstance(step, Usage)), None)
                asked = read_asked(self.request, self._dialect, self._server.settings.max_input)
                self._speaker = Speaker(self.request, self._dialect, asked, usage)
                await play(script, self, self._wire)
        except Refused as refused:
            await self._report(refused, in_stream=True)

    async def _respond(self, outputs: tuple[Tensor, ...], *, is_last: bool = False) -> None:
        """Write a response; this is where a client that has left is noticed."""
        if self._sink.is_gone:
            self._failure = "CANCELED"
            self._work.cancel()
        await trio.lowlevel.checkpoint()
        await self._sink.respond(outputs, is_last=is_last)

    async def _report(self, failure: Refused, *, in_stream: bool) -> None:
        self._failure = "CANCELED" if failure.code is Code.CANCELLED else "OTHER"
        self._give_back()
        self.is_finished = True
        await (self._sink.fail(failure) if in_stream else self._sink.refuse(failure))

    async def _complete(self) -> None:
        self._give_back()
        self.is_finished = True
        await self._sink.complete()

    def _leave(self) -> None:
        """The client is gone, or the connection is."""
        if self._sink.is_started or self._sink.notices_at_once:
            self._server.nursery.start_soon(self._let_go_after, self._server.settings.release_s)
        elif self._server.settings.notices_s is not None:
            self._server.nursery.start_soon(self._let_go_after, self._server.settings.notices_s)

    async def _let_go_after(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._over.wait()
        if not self._over.is_set():
            self._failure = "CANCELED"
            self._work.cancel()

    def _give_back(self) -> None:
        if self._place is not None:
            self._place.give_back()

    def _note_end(self) -> None:
        now = trio.current_time()
        self._server.tally(self.request).note(
            at_s=now,
            queue_s=self._placed_at - self._began_at,
            infer_s=now - self._placed_at,
            failure=self._failure,
        )

    def _voice(self) -> Speaker:
        if self._speaker is None:
            raise AssertionError("the model has not begun")
        return self._speaker


def _ignore(_generation: Generation) -> None:
    """Nobody waits for the end."""


def not_ready(request: InferRequest) -> Refused:
    """Return what the server says of a model that loads."""
    return Refused(
        f"Request for unknown model: '{request.model.name}' version 1 is not at ready state", Code.UNAVAILABLE
    )
