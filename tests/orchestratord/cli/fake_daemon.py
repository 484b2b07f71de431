"""A daemon that plays scripted frames over HTTP/1.1: in memory through `dial`, or on a loopback socket."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import h11
import msgspec
import trio
from trio.testing import memory_stream_pair

from http_util.sse import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from http_util.transport import Dial

Frame = tuple[str, dict[str, object]]

STARTED: Frame = ("started", {"queue_position": 0, "predicted_start_ms": 0})
WAIT: Frame = ("wait", {})
"""Not a frame: wait for `goes_on`."""
END: Frame = ("end", {"tokens_out": 2, "decode_time_ms": 100, "decode_ms": 100, "finish_reason": "stop"})
POOL = {"engine": "llamacpp", "pool_id": "default", "models": ["m", "default"], "ctx_max": 4096, "features": []}


def token(text: str, i: int = 0) -> Frame:
    return ("token", {"t": text, "i": i})


@dataclass(frozen=True)
class Answer:
    """A status and a body."""

    status: int
    body: object = None
    text: str | None = None

    def content(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return b"" if self.status == 204 else msgspec.json.encode(self.body)


@dataclass
class FakeDaemon:
    """Answers as the contract says.

    `refusals` maps a path's beginning to the answer given instead; `holds` leaves the stream open after its frames.
    """

    frames: list[Frame] = field(default_factory=lambda: [STARTED, END])
    holds: bool = False
    is_deaf_to_cancel: bool = False
    goes_on: trio.Event = field(default_factory=trio.Event)
    pools: list[dict[str, object]] = field(default_factory=lambda: [POOL])
    refusals: dict[str, Answer] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tasks: list[dict[str, object]] = field(default_factory=list)

    @property
    def cancels(self) -> int:
        return sum(call.endswith("/cancel") for call in self.calls)

    @asynccontextmanager
    async def in_memory(self) -> AsyncIterator[Dial]:
        """Serve connections that never leave the process; yields what opens one."""
        async with trio.open_nursery() as nursery:

            async def dial(host: str, port: int) -> trio.abc.Stream:
                await trio.lowlevel.checkpoint()
                client, server = memory_stream_pair()
                nursery.start_soon(self._connection, server)
                return client

            yield dial
            nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def on_loopback(self) -> AsyncIterator[str]:
        """Serve on a free port; yields the URL."""
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._connection, 0, host="127.0.0.1"))
            yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()

    async def _connection(self, stream: trio.abc.Stream) -> None:
        try:
            async with stream:
                await self._one_request(stream, h11.Connection(h11.SERVER))
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return

    async def _one_request(self, stream: trio.abc.Stream, http: h11.Connection) -> None:
        head: h11.Request | None = None
        body = b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                return
        assert head is not None
        path = head.target.decode()
        self.calls.append(f"{head.method.decode()} {path}")
        self.headers.append({name.decode(): value.decode() for name, value in head.headers})
        if self.is_deaf_to_cancel and path.endswith("/cancel"):
            await trio.sleep_forever()
        answer = self._answer(path, body)
        start = h11.Response(status_code=200 if answer is None else answer.status, headers=[("connection", "close")])
        await stream.send_all(http.send(start) or b"")
        if answer is None:
            await self._play(stream, http)
        else:
            await stream.send_all(http.send(h11.Data(data=answer.content())) or b"")
        await stream.send_all(http.send(h11.EndOfMessage()) or b"")

    def _answer(self, path: str, body: bytes) -> Answer | None:
        """What is answered at once; None is the stream."""
        for beginning, answer in self.refusals.items():
            if path.startswith(beginning):
                return answer
        if path == "/v1/capabilities":
            return Answer(200, {"api_version": "1", "engines": self.pools})
        if path == "/v1/tasks":
            self.tasks.append(msgspec.json.decode(body, type=dict[str, object]))
            return Answer(202, {"queue_position": 0})
        return Answer(204) if path.endswith("/cancel") else None

    async def _play(self, stream: trio.abc.Stream, http: h11.Connection) -> None:
        for number, (name, data) in enumerate(self.frames):
            if name == "wait":
                await self.goes_on.wait()
                continue
            frame = encode(name, msgspec.json.encode(data), id=number)
            await stream.send_all(http.send(h11.Data(data=frame)) or b"")
        if self.holds:
            await trio.sleep_forever()
