"""A parrot that does what a script says: Parrot's bytes for the kit's engine-neutral steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import trio

from conformance.engines import made_up
from conformance.engines.host import Link
from conformance.engines.play import play
from conformance.engines.received import as_received, json_object
from conformance.engines.seats import Full, Seats
from conformance.engines.server import ServerDouble

if TYPE_CHECKING:
    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.received import Received
    from conformance.engines.script import Die, Fail, Script, Text, Usage

VERSION = "1.4"
FENCE = 2
CROWDED = {"error": {"type": "crowded", "message": "every perch is taken, and the fence too"}}


class ParrotDouble(ServerDouble):
    """The server; it does not listen before it is awake."""

    def __init__(self, nursery: trio.Nursery, perches: int) -> None:
        super().__init__(nursery, Link(), work={("POST", "/speak")})
        self.perches = perches
        self.seats = Seats(perches, self.facts, nursery, max_waiting=FENCE)

    def forget(self) -> None:
        """Clear the perches."""
        self.seats.clear()

    def received(self, request: SeenRequest) -> Received:
        """Say in the kit's words what a request asks for, so that it can see whether the adapter has passed on all."""
        asked = json_object(request.body)
        names = {"heard": "prompt", "words": "max_tokens", "mood": "temperature"}
        return as_received(request, {names.get(name, name): value for name, value in asked.items()})

    async def respond(self, exchange: Exchange) -> None:
        """Answer as `parrot_engine.py` does."""
        match exchange.request.method, exchange.request.path:
            case "GET", "/awake":
                about = {"name": "polly", "parrot": VERSION, "memory": 8192}
                await _answer(exchange, 200, {**about, "perches": self.perches, "busy": self.seats.running})
            case "POST", "/speak":
                asked = json.loads(exchange.request.body)
                await self.generate(exchange, Speech(self, exchange, asked))
            case _:
                await _answer(exchange, 404, {"error": {"type": "nowhere", "message": "there is /awake and /speak"}})


class Speech:
    """One request on its perch: what each step of a script is in Parrot's bytes."""

    def __init__(self, parrot: ParrotDouble, exchange: Exchange, asked: dict[str, object]) -> None:
        self._parrot = parrot
        self._exchange = exchange
        self._heard = made_up.pieces(str(asked["heard"]))
        self._words, self._seed = int(str(asked["words"])), int(str(asked["seed"]))
        self._said = 0
        self._usage: Usage | None = None
        self._work = trio.CancelScope()
        self._doom: Fail | None = None
        self.is_finished = False

    async def run(self, script: Script) -> None:
        """Wait on the fence, take a perch and play; the place is free again on every way out."""
        try:
            self._parrot.seats.admit(self)
        except Full:
            await _answer(self._exchange, 503, CROWDED)
            return
        try:
            await self._parrot.seats.take(self)
            with self._work:
                await play(script, self, self._exchange)
            if self._doom is not None:
                await self.fail(self._doom)
        finally:
            self._parrot.seats.leave(self)

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`."""
        self._doom = failure
        self._work.cancel()

    async def accept(self) -> None:
        await self._exchange.start(200, "text/event-stream")

    async def text(self, step: Text) -> None:
        self._said += step.tokens
        await self._event({"say": step.text})

    async def ping(self) -> None:
        await self._exchange.send(b": squawk\n\n")

    async def fail(self, step: Fail) -> None:
        error = {"error": {"type": step.type, "message": step.message, "code": step.status}}
        if not self._exchange.is_started:
            await _answer(self._exchange, step.status, error)
            return
        await self._event(error)
        await self._exchange.end(closes=True)

    async def overload(self) -> None:
        await _answer(self._exchange, 503, CROWDED)

    async def load_model(self, seconds: float) -> None:
        self._parrot.load_model(seconds)

    def die(self, step: Die) -> None:
        self._parrot.die(step.down_s, step.loading_s)

    def count(self, usage: Usage) -> None:
        self._usage = usage

    async def finish(self, reason: str) -> None:
        done = {"stop": "silent", "stop_string": "silent", "length": "enough"}.get(reason, reason)
        heard = len(self._heard) if self._usage is None else self._usage.tokens_in
        said = self._said if self._usage is None else self._usage.tokens_out
        await self._event({"done": done, "heard": heard, "said": said})
        self.is_finished = True
        await self._exchange.end(closes=True)

    async def make_up(self) -> None:
        await self.accept()
        for number in range(self._words):
            self._said += 1
            await self._event({"say": made_up.word("".join(self._heard), self._seed, number)})
        await self.finish("length")

    async def _event(self, data: dict[str, object]) -> None:
        await self._exchange.send(f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode())


async def _answer(exchange: Exchange, status: int, body: dict[str, object]) -> None:
    await exchange.answer(status, json.dumps(body).encode(), "application/json")
