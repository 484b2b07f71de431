"""How the zoo's services speak HTTP: requests read, answers written, streams that end when their reader leaves.

What is answered is in `zoo.py`. Each request has a connection of its own; nothing is more than it needs to be.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import h11
import msgspec
import trio

from conformance.engines.pipe import open_pipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conformance.engines.pipe import PipeEnd

    Send = Callable[[bytes], Awaitable[None]]

MOST_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    target: str
    headers: Mapping[str, str]
    length: int
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; with `stream`, the body is the frames of that task after `after`."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    stream: Task | None = None
    after: int = 0


@dataclass(eq=False, slots=True)
class Task:
    """A task and its frames: kinds and bytes, the id being the place; `place` is that in the queue, told last."""

    body: dict[str, object]
    digest: bytes
    admission: dict[str, object]
    deadline_at: float
    correlation_id: str
    frames: list[tuple[str, bytes]] = field(default_factory=list)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    changed: trio.Event = field(default_factory=trio.Event)
    turn: trio.Event = field(default_factory=trio.Event)
    place: int | None = None
    began_at: float = 0.0
    readers: int = 0
    tokens: int = 0
    is_running: bool = False
    is_over: bool = False
    is_canceled: bool = False


class Behaviour(Protocol):
    """What a service does; the wire asks it."""

    nursery: trio.Nursery

    def correlation(self, asked: Asked) -> str:
        """Return the id that the answer carries."""

    def answer(self, asked: Asked) -> Answer:
        """Answer a request whose body is read."""

    def too_large(self) -> Answer:
        """Return a 413."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        """Write the frames after one, as they come."""

    async def left(self, task: Task) -> None:
        """Do what is due when a task has lost its last reader."""


class Wire:
    """A service's connections."""

    is_measured_first = True
    is_measured_on_the_way = True

    def __init__(self, service: Behaviour) -> None:
        self._service = service

    async def dial(self) -> PipeEnd:
        """Open a connection."""
        ours, theirs = open_pipe()
        self._service.nursery.start_soon(self.serve, theirs)
        await trio.lowlevel.checkpoint()
        return ours

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one connection."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            async with stream:
                await self._exchange(stream, h11.Connection(h11.SERVER))

    async def _exchange(self, stream: trio.abc.Stream, http: h11.Connection) -> None:
        asked, answer = await self._hear(stream, http)
        answer = answer or self._service.answer(asked)
        headers = [*answer.headers, ("X-Correlation-Id", self._service.correlation(asked)), ("Connection", "close")]
        if answer.stream is None and answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        head = h11.Response(status_code=answer.status, headers=[h for h in headers if h[1]])
        await stream.send_all(http.send(head) or b"")
        if answer.stream is not None:
            await self._stream(stream, http, answer.stream, answer.after)
        elif answer.body and asked.method != "HEAD":
            await stream.send_all(http.send(h11.Data(data=answer.body)) or b"")
        await stream.send_all(http.send(h11.EndOfMessage()) or b"")

    async def _hear(self, stream: trio.abc.Stream, http: h11.Connection) -> tuple[Asked, Answer | None]:
        """Read a request; return it, and its answer if its body is not read for being too large."""
        request = await _event(stream, http)
        if not isinstance(request, h11.Request):
            raise trio.ClosedResourceError("the client left without a request")
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        asked = Asked(request.method.decode(), request.target.decode(), headers, int(headers.get("content-length", 0)))
        if asked.length > MOST_BODY_BYTES and self.is_measured_first:
            return asked, self._service.too_large()
        body = bytearray()
        while isinstance(event := await _event(stream, http), h11.Data):
            body += bytes(event.data)
            if len(body) > MOST_BODY_BYTES and self.is_measured_on_the_way:
                return asked, self._service.too_large()
        return Asked(asked.method, asked.target, headers, asked.length, bytes(body)), None

    async def _stream(self, stream: trio.abc.Stream, http: h11.Connection, task: Task, after: int) -> None:
        async def send(data: bytes) -> None:
            await stream.send_all(http.send(h11.Data(data=data)) or b"")

        async def watch() -> None:
            with suppress(trio.BrokenResourceError):
                await stream.receive_some()
            nursery.cancel_scope.cancel()

        task.readers += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                with suppress(trio.BrokenResourceError):
                    await self._service.write(task, after, send)
                nursery.cancel_scope.cancel()
        finally:
            task.readers -= 1
            if not task.readers and not task.is_over:
                self._service.nursery.start_soon(self._service.left, task)


async def _event(stream: trio.abc.Stream, http: h11.Connection) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(bytes(await stream.receive_some()))
    return event


def json_answer(data: Mapping[str, object], status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, msgspec.json.encode(data), (("Content-Type", "application/json"), *headers))
