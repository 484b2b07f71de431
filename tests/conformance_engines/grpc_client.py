"""A small gRPC client on `h2` that shows a call as it was: heads, messages, trailers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, final

import h2.config
import h2.connection
import h2.events
import trio

from conformance.engines.triton.grpc_call import MessageReader, framed
from conformance.engines.triton.grpc_service import SERVICE
from conformance.engines.triton.protobuf import decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from conformance.engines.triton import TritonDouble
    from conformance.engines.triton.protobuf import Fields, Value

HOST, PORT = "engine.test", 8081


@dataclass(slots=True)
class Answer:
    """What came back; `is_whole` says whether the stream ended as HTTP/2 wants it."""

    head: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    messages: list[bytes] = field(default_factory=list)
    body: bytes = b""
    is_whole: bool = False

    @property
    def status(self) -> int:
        return int(self.trailers.get("grpc-status", self.head.get("grpc-status", "-1")))

    def replies(self, message: str = "ModelStreamInferResponse") -> list[Fields]:
        return [decode(message, each) for each in self.messages]

    @property
    def texts(self) -> list[str]:
        return [text for reply in self.replies() if (text := text_of(reply)) is not None]


def text_of(reply: Fields) -> str | None:
    response = cast("Fields", reply.get("infer_response", {}))
    raw = cast("Sequence[bytes]", response.get("raw_output_contents", ()))
    return raw[0][4:].decode() if raw else None


def is_last(reply: Fields) -> bool:
    parameters = cast("Mapping[str, Fields]", cast("Fields", reply["infer_response"])["parameters"])
    return parameters["triton_final_response"]["bool_param"] is True


def ask_text(*, identifier: str = "r1", model: str = "ensemble", last: bool = False, **flags: bool) -> bytes:
    """A `ModelInferRequest` for text that streams; `flags` are inputs, `last` asks for the empty last response."""
    values = {"text_input": b"\x02\0\0\0Hi", **({"max_tokens": b"\x04\0\0\0"} if model == "ensemble" else {})}
    values |= {name: bytes([value]) for name, value in {"stream": True, **flags}.items()}
    kinds = {"text_input": "BYTES", "max_tokens": "INT32"}
    inputs: list[Fields] = [{"name": name, "datatype": kinds.get(name, "BOOL"), "shape": [1, 1]} for name in values]
    parameters = {"triton_enable_empty_final_response": {"bool_param": True}} if last else {}
    fields: dict[str, Value] = {
        "model_name": model,
        "id": identifier,
        "inputs": inputs,
        "raw_input_contents": list(values.values()),
    }
    return encode("ModelInferRequest", {**fields, "parameters": parameters})


@final
class Call:
    """One call on a connection of its own."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.answer = Answer()
        self.acknowledges = True
        self._reader = MessageReader("identity", 2**31)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))

    async def begin(self, method: str, metadata: Mapping[str, str]) -> None:
        self._h2.initiate_connection()
        head = {":method": "POST", ":path": SERVICE + method, ":scheme": "http", ":authority": HOST}
        self._h2.send_headers(1, [*head.items(), ("content-type", "application/grpc"), *metadata.items()])
        await self._flush()

    async def send(self, message: bytes, *, is_last: bool = False) -> None:
        self._h2.send_data(1, framed(message), end_stream=is_last)
        await self._flush()

    async def half_close(self) -> None:
        self._h2.end_stream(1)
        await self._flush()

    async def cancel(self) -> None:
        self._h2.reset_stream(1, 8)
        await self._flush()

    async def say_goodbye(self) -> None:
        self._h2.close_connection()
        await self._flush()

    async def widen(self, size: int) -> None:
        for stream in (None, 1):
            self._h2.increment_flow_control_window(size, stream)
        await self._flush()

    async def step(self) -> bool:
        """Take what the next read brings; False once nothing more can come."""
        try:
            data = bytes(await self.stream.receive_some())
        except trio.BrokenResourceError:
            return False
        for event in self._h2.receive_data(data) if data else ():
            self._take(event)
        await self._flush()
        return bool(data) and not self.answer.is_whole

    async def finish(self) -> Answer:
        while await self.step():
            pass
        return self.answer

    async def until(self, count: int) -> None:
        """Read until so many messages are there."""
        while len(self.answer.messages) < count:
            assert await self.step(), self.answer

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.answer.head = {str(name): str(value) for name, value in event.headers}
            case h2.events.DataReceived():
                self.answer.body += event.data
                if self.answer.head["content-type"] == "application/grpc":
                    self.answer.messages += self._reader.feed(event.data)
                if self.acknowledges:
                    self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.answer.trailers = {str(name): str(value) for name, value in event.headers}
            case h2.events.StreamEnded():
                self.answer.is_whole = True
            case _:
                pass

    async def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            await self.stream.send_all(data)


@asynccontextmanager
async def open_call(
    double: TritonDouble, method: str = "ModelStreamInfer", metadata: Mapping[str, str] | None = None
) -> AsyncIterator[Call]:
    """Begin a call in memory; leaving closes the connection."""
    async with await double.dial(HOST, PORT) as stream:
        call = Call(stream)
        await call.begin(method, metadata or {})
        yield call


async def ask(double: TritonDouble, method: str, fields: Fields) -> Answer:
    async with open_call(double, method) as call:
        await call.send(encode(f"{method}Request", fields), is_last=True)
        return await call.finish()
