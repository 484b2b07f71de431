"""The adapter: requests, reports and the streams that are under way."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import trio

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    DeadlineUnmet,
    PoolUnavailable,
    Secret,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
)

from .answer import Answer
from .connection import Connection
from .events import EventReader
from .failures import Failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue, TaskId, TaskRequest

_OK = 200
_CONNECT_S = 5.0
_CALL_S = 10.0
_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the adapter is made of; a mutant is another class for one of them."""

    adapter: type[PlainAdapter]
    answer: type[Answer] = Answer
    connection: type[Connection] = Connection
    reader: type[EventReader] = EventReader
    failures: type[Failures] = Failures


class Model(msgspec.Struct):
    """One entry of the list of models."""

    id: str


class Models(msgspec.Struct):
    """The list of models."""

    data: list[Model]


class PlainAdapter:
    """One server that speaks OpenAI's interface; completions and chats, nothing else."""

    cancel_support = CancelSupport(CancelMode.CLOSE)

    def __init__(self, settings: Mapping[str, object], context: AdapterContext, parts: Parts) -> None:
        url = urlsplit(str(settings["url"]))
        self.host, self.port = url.hostname or "", url.port or 80
        self.base = url.path.rstrip("/") or "/v1"
        self.key = settings.get("api_key")
        bounds = msgspec.convert(settings.get("timeouts", {}), dict[str, float])
        self.first_token_s = bounds.get("first_token_ms", 120_000) / 1000
        self.idle_s = bounds.get("idle_ms", 30_000) / 1000
        self.health_s = bounds.get("health_ms", 5_000) / 1000
        self.context = context
        self.parts = parts
        self.failures = parts.failures(context)
        self.answers: list[Answer] = []
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.context.pool_id}>"

    async def health(self) -> WorkerHealth:
        """Ask for the list of models, once."""
        with trio.move_on_after(self.health_s):
            try:
                await self.models()
            except WorkerError as failure:
                return WorkerHealth(live=failure.upstream_status is not None, ready=False, detail=failure.message)
            return WorkerHealth(live=True, ready=True)
        return WorkerHealth(live=False, ready=False, detail="no answer in time")

    async def props(self) -> WorkerProps:
        """Return nothing: the interface tells no capacity. An engine that is not there is an error all the same."""
        await self.models()
        return WorkerProps()

    async def capabilities(self) -> Capabilities:
        """Return the model and that it completes."""
        model = await self.model()
        return Capabilities(engine="openai", engine_version=model, model=model)

    async def engine_version(self) -> str:
        """Return the model's name: the interface has no version."""
        return await self.model()

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[Answer]:
        """Send the request and give its stream."""
        self.check(request)
        answer = self.parts.answer(self, request)
        self.answers.append(answer)
        try:
            await answer.begin()
            yield answer
        finally:
            self.answers.remove(answer)
            with trio.move_on_after(_CLOSE_S, shield=True):
                await answer.leave()

    async def cancel(self, task_id: TaskId) -> None:
        """Stop the streams of this id."""
        for answer in tuple(self.answers):
            if answer.request.task_id == task_id:
                await answer.stop()

    async def close(self) -> None:
        """Close every connection, and open no other."""
        self.is_closed = True
        for answer in tuple(self.answers):
            await answer.leave()

    def check(self, request: TaskRequest) -> None:
        """Refuse what the interface has no name for."""
        if request.workload is not Workload.COMPLETION:
            raise AdapterError(f"no workload {request.workload} here", blames_request=True)
        for name in ("top_k", "min_p", "repeat_penalty"):
            if getattr(request.sampling, name) is not None:
                raise AdapterError(f"the engine has no {name}", blames_request=True)

    def body(self, request: TaskRequest, model: str) -> tuple[str, dict[str, JsonValue]]:
        """Return path and body of the request; what it leaves open is left out."""
        sampling = request.sampling
        fields: dict[str, JsonValue] = {
            "seed": request.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "stop": list(sampling.stop) or None,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        body |= {"model": model, "stream": True, "stream_options": {"include_usage": True}}
        if not request.messages:
            return f"{self.base}/completions", {**body, "prompt": request.prompt, "max_tokens": request.max_tokens}
        turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        return f"{self.base}/chat/completions", {**body, "messages": turns, "max_completion_tokens": request.max_tokens}

    def headers(self, request: TaskRequest | None = None) -> list[tuple[str, str]]:
        """Return the headers of a call, or of a request with its correlation id."""
        caller = request and request.correlation_id
        key = [("authorization", f"Bearer {self.key.reveal()}")] if isinstance(self.key, Secret) else []
        own = [("x-correlation-id", caller)] if caller else []
        return [("host", f"{self.host}:{self.port}"), *key, *own, ("content-type", "application/json")]

    async def connect(self) -> Connection:
        """Open a connection."""
        if self.is_closed:
            raise AdapterError("connecting: the adapter is closed")
        if not self.context.permits(self.host, self.port):
            raise AdapterError("connecting: not permitted by the egress policy")
        with trio.move_on_after(_CONNECT_S):
            try:
                return self.parts.connection(await self.dial())
            except OSError:
                pass  # raised below: what the network says may quote an address or a password
        raise PoolUnavailable("connecting: the engine cannot be reached")

    async def dial(self) -> trio.abc.Stream:
        """Open a byte stream to the engine."""
        if self.context.dial is None:
            return await trio.open_tcp_stream(self.host, self.port)
        return await self.context.dial(self.host, self.port)

    async def model(self) -> str:
        """Return the name of the first model."""
        models = await self.models()
        if not models.data:
            raise PoolUnavailable("asking for the models: there is none")
        return models.data[0].id

    async def models(self) -> Models:
        """Return the list of models."""
        with trio.move_on_after(_CALL_S):
            status, headers, body = await self.get("/models")
            if status != _OK:
                raise self.failures.of_answer(status, headers, body)
            return read_models(body)
        raise DeadlineUnmet("asking for the models: no answer in time", retriable=True)

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a short call."""
        connection = await self.connect()
        try:
            await connection.send("GET", self.base + path, self.headers())
            head = await connection.head()
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return head.status_code, headers, await connection.whole()
        finally:
            with trio.move_on_after(_CLOSE_S, shield=True):
                await connection.close()


def read_models(body: bytes) -> Models:
    """Return the list of models that a body is; `AdapterError` where it is none."""
    try:
        return msgspec.json.decode(body, type=Models)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # raised below, so that the error has no cause that quotes the engine
    raise AdapterError("asking for the models: the answer is not a list of them")
