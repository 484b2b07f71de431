"""The server around a double: its process, its connections, its scripts, and what it saw.

An engine's double is a `ServerDouble` that says in `respond` how its engine answers a request and in `forget` what dies
with its process. Everything that is the same for all engines is here: memory and TCP, dying and coming back, scripts by
order and by path, and the account of clients that left. No engine's bytes are.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from .double import Facts
from .host import Host, Link
from .http1 import Exchange, serve_http
from .plain import PlainStage
from .play import Stage, play
from .script import Script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from .http1 import SeenRequest
    from .received import Received
    from .script import Fail

KEEP_ALIVE_S = 5.0
"""How long a connection may be idle, unless the engine says otherwise."""

DoubleT = TypeVar("DoubleT")


class Job(Protocol):
    """A generation that the engine works on, or keeps waiting."""

    @property
    def is_finished(self) -> bool:
        """Whether its answer is complete."""

    async def run(self, script: Script) -> None:
        """Play the script. Cancelled: everything it holds is given back."""

    def doom(self, failure: Fail) -> None:
        """Break off and report `failure`."""


class Visit(Protocol):
    """A request under way, whatever protocol it came by."""

    request: SeenRequest
    gone: trio.Event


class Watcher(Protocol):
    """Who is told of requests as they come and end."""

    def arrived(self, number: int, request: SeenRequest) -> None:
        """A request is there; `number` is its place in `facts.requests`."""

    def over(self, number: int, exchange: Exchange) -> None:
        """It was answered, or never will be."""


class ServerDouble:
    """One engine's process and the addresses it is reached at.

    `work` are the (method, path) of requests for work, counted in `facts.submitted`. Most engines do not listen while
    they load; with `listens_while_loading` it is up to `respond` to look at `is_loading`.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        link: Link,
        *,
        work: Collection[tuple[str, str]] = (),
        listens_while_loading: bool = False,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self.facts = Facts()
        self.nursery = nursery
        if type(self).received is not ServerDouble.received:
            self.facts.received = []
        self.started_at = trio.current_time()
        self.watcher: Watcher | None = None
        self._work = work
        self._listens_while_loading = listens_while_loading
        self._keep_alive_s = keep_alive_s
        self._host = Host(nursery, self.serve, link)
        self._scripts: tuple[Script, ...] = ()
        self._played = 0
        self._path_scripts: dict[str, list[Script]] = {}
        self._jobs: dict[Job, None] = {}  # in order of arrival
        self._is_running = True
        self._loading_until = trio.current_time()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._host}>"

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request, in the engine's way; a server without routes finds nothing."""
        await exchange.answer(404, b"", "")

    def forget(self) -> None:
        """Drop what dies with the process; called after every connection was reset."""

    def is_work(self, request: SeenRequest) -> bool:
        """Return whether this is a request for work; an empty object asks for none, it only tries a route."""
        return (request.method, request.path) in self._work and request.body != b"{}"

    def received(self, _request: SeenRequest) -> Received | None:
        """Return a request for work in neutral words.

        Until this is overridden, the kit cannot tell what reached the engine, and leaves those checks out.
        """
        return None

    def plain_stage(self, exchange: Exchange) -> Stage:
        """Return what plays a script of a path."""
        return PlainStage(exchange)

    @property
    def url(self) -> str:
        """The base URL that `dial` answers to."""
        return self._host.url

    @property
    def is_loading(self) -> bool:
        """Whether the model is not there yet."""
        return trio.current_time() < self._loading_until

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection in memory; raises `OSError` where a real one would."""
        return await self._host.dial(host, port)

    async def serve_tcp(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 as well and return the URL."""
        return await self._host.serve_tcp(port)

    def load(self, *scripts: Script, path: str | None = None) -> None:
        """Play these scripts from now on; see `EngineDouble.load`."""
        if path is not None:
            self._path_scripts[path] = list(scripts)
            return
        self._scripts, self._played = scripts, 0
        if scripts and scripts[0].loading_s:
            self.load_model(scripts[0].loading_s)

    def load_model(self, seconds: float) -> None:
        """Load the model from now on; an engine that does not listen meanwhile drops its connections."""
        self._loading_until = trio.current_time() + seconds
        if self._listens_while_loading or not seconds:
            self._listen_from_now()
            return
        self._drop()
        self.nursery.start_soon(self._listen_from, self._loading_until)

    def stop(self) -> None:
        """End the process: reset every connection and refuse new ones, until `start`."""
        self._is_running = False
        self._drop()

    def start(self, *, loading_s: float = 0.0) -> None:
        """Begin a new process; it loads for `loading_s` first."""
        self._is_running = True
        self.started_at = trio.current_time()
        self.load_model(loading_s)

    def die(self, down_s: float, loading_s: float = 0.0) -> None:
        """End the process, begin a new one after `down_s` and let it load for `loading_s`."""
        self.stop()
        self.nursery.start_soon(self._start_after, down_s, loading_s)

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation report `failure`, as when a batch dies."""
        for job in self._jobs:
            job.doom(failure)

    async def generate(self, exchange: Visit, job: Job) -> None:
        """Run a generation with the next script; a client that leaves before its end goes into `facts.gone`."""
        number = self._number(exchange.request)
        self._jobs[job] = None
        try:
            await job.run(self._next_script())
        finally:
            del self._jobs[job]
            if exchange.gone.is_set() and not job.is_finished:
                self.facts.gone.append((trio.current_time(), number))

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Speak HTTP/1.1 on one connection until either side has enough."""
        self.facts.connections += 1
        try:
            await serve_http(stream, self._answer, keep_alive_s=self._keep_alive_s, on_request=self._note)
        finally:
            self.facts.connections -= 1

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._play_or_respond(exchange)
        finally:
            if self.watcher is not None:
                self.watcher.over(self._number(exchange.request), exchange)

    async def _play_or_respond(self, exchange: Exchange) -> None:
        if scripts := self._path_scripts.get(exchange.request.path):
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            await play(script, self.plain_stage(exchange), exchange)
        else:
            await self.respond(exchange)

    def _note(self, request: SeenRequest) -> None:
        self.facts.requests.append(request)
        if self.is_work(request):
            self.facts.submitted += 1
            self._hear(self.received(request))
        if self.watcher is not None:
            self.watcher.arrived(len(self.facts.requests) - 1, request)

    def _hear(self, received: Received | None) -> None:
        if self.facts.received is not None and received is not None:
            self.facts.received.append(received)

    def _number(self, request: SeenRequest) -> int:
        seen = self.facts.requests
        return next(number for number in reversed(range(len(seen))) if seen[number] is request)

    def _next_script(self) -> Script:
        if not self._scripts:
            return Script()
        script = self._scripts[min(self._played, len(self._scripts) - 1)]
        self._played += 1
        return script

    def _drop(self) -> None:
        self._host.stop()
        self.forget()

    async def _listen_from(self, moment: float) -> None:
        await trio.sleep_until(moment)
        if moment == self._loading_until:
            self._listen_from_now()

    def _listen_from_now(self) -> None:
        if self._is_running:
            self._host.start()

    async def _start_after(self, down_s: float, loading_s: float) -> None:
        await trio.sleep(down_s)
        self.start(loading_s=loading_s)


@asynccontextmanager
async def open_double(build: Callable[[trio.Nursery], DoubleT]) -> AsyncIterator[DoubleT]:
    """Run the double that `build` makes; leaving the block resets every connection.

    An exception of the block leaves as it is, not in a group: a failed assertion is read by people.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield build(nursery)
        except Exception as raised:  # noqa: BLE001 - raised again below, outside the nursery
            failure = raised
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
