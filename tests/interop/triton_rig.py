"""The official Triton client, whose calls block, beside a double that runs on Trio: calls go to worker threads."""

from __future__ import annotations

import queue
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import urlsplit

import numpy as np
import trio
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from conformance.engines.triton import TritonDouble, TritonSettings, open_triton

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conformance.engines.script import Script

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE_S = 10.0


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with trio.fail_after(PATIENCE_S):
        return await trio.to_thread.run_sync(partial(call, *args, **kwargs))


@asynccontextmanager
async def grpc_to(
    settings: TritonSettings | None = None, *scripts: Script
) -> AsyncIterator[tuple[TritonDouble, grpc_client.InferenceServerClient]]:
    async with open_triton(settings, *scripts) as double:
        client = grpc_client.InferenceServerClient(urlsplit(await double.serve_grpc_tcp()).netloc)
        try:
            yield double, client
        finally:
            with trio.move_on_after(PATIENCE_S, shield=True):
                await in_thread(client.close)


@asynccontextmanager
async def http_to(settings: TritonSettings | None = None, *scripts: Script) -> AsyncIterator[tuple[TritonDouble, Http]]:
    async with open_triton(settings, *scripts) as double:
        yield double, Http(urlsplit(await double.serve_tcp()).netloc)


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP client rests on gevent, which wants a client made and used in one thread."""

    address: str

    async def call(self, name: str, *args: object, **kwargs: object) -> http_client.InferResult:
        """What the client's method returns: an `InferResult`, or plain JSON, which the client leaves untyped."""
        return await in_thread(self._call, name, *args, **kwargs)

    def _call(self, name: str, *args: object, **kwargs: object) -> http_client.InferResult:
        with http_client.InferenceServerClient(self.address) as client:
            return getattr(client, name)(*args, **kwargs)


@dataclass(slots=True)
class Heard:
    """What a stream's callback was given, in order."""

    waiting: queue.Queue[tuple[grpc_client.InferResult | None, Exception | None]] = field(default_factory=queue.Queue)

    def __call__(self, result: grpc_client.InferResult | None, error: Exception | None) -> None:
        self.waiting.put((result, error))

    async def next(self) -> tuple[grpc_client.InferResult | None, Exception | None]:
        return await in_thread(self.waiting.get, timeout=PATIENCE_S)

    async def text_and_last(self) -> tuple[str, bool]:
        result, error = await self.next()
        assert error is None, error
        assert result is not None
        words = result.as_numpy("text_output")
        text = "" if words is None else b"".join(words.flatten()).decode()
        return text, result.get_response().parameters["triton_final_response"].bool_param

    async def texts(self) -> list[str]:
        """All texts up to the response that says it is the last."""
        found = [await self.text_and_last()]
        while not found[-1][1]:
            found.append(await self.text_and_last())
        return [text for text, _ in found]


def asks(prompt: str = "Hi", **fields: object) -> list[grpc_client.InferInput]:
    """The inputs of the classic ensemble, with its batch dimension."""
    values = {"text_input": prompt, "max_tokens": 4, "stream": True, **fields}
    return [_input(name, value) for name, value in values.items()]


def _input(name: str, value: object) -> grpc_client.InferInput:
    kinds = {
        bool: ("BOOL", np.bool_),
        int: ("INT32", np.int32),
        float: ("FP32", np.float32),
        str: ("BYTES", np.object_),
    }
    datatype, kind = kinds[type(value)]
    made = grpc_client.InferInput(name, [1, 1], "UINT64" if name == "seed" else datatype)
    return made.set_data_from_numpy(np.array([[value]], dtype=np.uint64 if name == "seed" else kind))
