"""A small HTTP client on `h11` that shows an answer as it was, byte for byte."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import h11
import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapter_api import JsonValue
    from conformance.engines.double import EngineDouble

HOST, PORT = "engine.test", 8080


@dataclass(slots=True)
class Answer:
    """What came back; `is_whole` says whether the body ended as HTTP wants it."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] = field(default_factory=list)
    is_whole: bool = False

    @property
    def json(self) -> JsonValue:
        value: JsonValue = msgspec.json.decode(self.body)
        return value

    @property
    def frames(self) -> list[dict[str, JsonValue]]:
        blocks = self.body.decode().split("\n\n")
        return [msgspec.json.decode(block[6:]) for block in blocks if block.startswith("data: ")]

    @property
    def text(self) -> str:
        return "".join(str(frame["content"]) for frame in self.frames if "content" in frame)


@final
class Call:
    """One request on a connection of its own."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.answer = Answer()
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        head = [("Host", HOST), ("Content-Length", str(len(body))), *headers.items()]
        wire = (self._http.send(h11.Request(method=method, target=path, headers=head)) or b"") + (
            self._http.send(h11.Data(data=body)) or b""
        )
        await self.stream.send_all(wire + (self._http.send(h11.EndOfMessage()) or b""))

    async def step(self) -> bool:
        """Take the next thing that happens; False once nothing more can."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                self._http.receive_data(bytes(await self.stream.receive_some()))
            except trio.BrokenResourceError:
                return False
        match event:
            case h11.Response() | h11.InformationalResponse():
                self.answer.status = event.status_code
                self.answer.headers = {n.decode(): v.decode() for n, v in event.headers}
            case h11.Data():
                self.answer.body += event.data
                self.answer.pieces.append(bytes(event.data))
            case h11.EndOfMessage():
                self.answer.is_whole = True
            case _:
                return False
        return not self.answer.is_whole

    async def finish(self) -> Answer:
        try:
            while await self.step():
                pass
        except h11.RemoteProtocolError:
            pass
        return self.answer

    async def until(self, words: bytes) -> None:
        while words not in self.answer.body:
            assert await self.step(), self.answer


def decode(text: bytes | str) -> JsonValue:
    value: JsonValue = msgspec.json.decode(text)
    return value


@asynccontextmanager
async def open_call(
    double: EngineDouble,
    path: str,
    value: object = None,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    port: int = PORT,
) -> AsyncIterator[Call]:
    """POST `value` (or `body`), or GET if there is neither; leaving closes the connection."""
    content = body or (b"" if value is None else msgspec.json.encode(value))
    stream = await double.dial(HOST, port)
    async with stream:
        call = Call(stream)
        await call.send("POST" if content else "GET", path, content, headers or {})
        yield call


async def ask(
    double: EngineDouble,
    path: str,
    value: object = None,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    port: int = PORT,
) -> Answer:
    async with open_call(double, path, value, headers=headers, body=body, port=port) as call:
        return await call.finish()
