"""The OpenAI adapter: which call is made when, and within which time.

A request's time covers the look-up of the model too, which is made only if the settings do not name one. A cancel
closes the connection; the interface has no other cancel for streams. On plain HTTP each stream is the last on its
connection: making one costs nothing there, and some servers close theirs after a stream without saying so.

Implements: ADAPT-3000, ADAPT-3005, ADAPT-3101, OC-ADAPT-OAI-6000, OC-ADAPT-OAI-6010, OC-ADAPT-OAI-6011.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    Started,
    WorkerHealth,
    WorkerProps,
    Workload,
)
from http_util.engine import correlation, json_as, until
from http_util.live import LiveStreams
from http_util.openai_api.chunks import ChunkReading
from http_util.openai_api.models import shown
from http_util.openai_api.responses import ResponseReading
from http_util.pieces import Embeddings, embedding_body, events_of

from .generation import Generation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskId, TaskRequest, TokenEvent
    from http_util.stream import EventStream

    from .server import Server

_LAST_ON_ITS_CONNECTION = {"connection": "close"}


@final
class OpenAIAdapter:
    """One server of the OpenAI kind, spoken to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._live = LiveStreams()

    def __repr__(self) -> str:
        return f"<OpenAIAdapter {self._engine!r} streams={len(self._live)}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine stops when its connection is closed."""
        return CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask for the list of models, once; an engine that is away or ill is a report."""
        return await self._server.health()

    async def props(self) -> WorkerProps:
        """Return that nothing is known: the interface does not tell its capacity."""
        await trio.lowlevel.checkpoint()
        return WorkerProps()

    async def capabilities(self) -> Capabilities:
        """Ask what the server serves; embeddings are tried with an empty body, which costs nothing."""
        return await self._server.capabilities()

    async def engine_version(self) -> str:
        """Ask for the list of models; the model's name stands for the version unless the settings give one."""
        return await self._server.version()

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion, or answer an embedding in one piece; see `WorkerAdapter.submit`."""
        if request.workload is not Workload.COMPLETION:
            return self._live.call(request.task_id, partial(self._answer, request))
        generation = Generation(request, self._server)
        kind = ResponseReading if self._server.settings.api == "responses" else ChunkReading
        reading = kind(generation.begin, self._engine.failure_in_stream)
        source = self._completion(generation, reading)
        return self._live.stream(request.task_id, source, reading, at_end=reading.at_end)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _completion(
        self, generation: Generation, reading: ChunkReading | ResponseReading
    ) -> AsyncIterator[EventStream]:
        ends_at = self._engine.ends_at(generation.request)
        with until(ends_at, "completion"):
            path, body = generation.call(await self._server.model())
        headers = {**correlation(generation.request), **self._connection}
        try:
            async with self._engine.events(path, body, ends_at=ends_at, headers=headers) as events:
                generation.headers = events.headers
                yield events
        finally:
            if not reading.is_over:
                self._server.memory.doubt()

    async def _answer(self, request: TaskRequest) -> list[TokenEvent]:
        """Return the events of an embedding."""
        phase = request.workload.value
        if request.workload is not Workload.EMBEDDING:
            raise AdapterError(f"{phase}: OpenAI's interface has no route for it", blames_request=True)
        with until(self._engine.ends_at(request), phase):
            model = await self._server.model()
            body = {**({} if model is None else {"model": model}), **embedding_body(request)}
            answer = await self._engine.call(
                "/embeddings", body, json_as(Embeddings), phase=phase, headers=correlation(request)
            )
        started = Started(
            engine_version=self._server.version_of(None) or (model and shown(model)),
            model_digest=self._server.settings.model_digest,
            sampler_profile_version=request.sampler_profile_version,
            tokens_in=answer.usage.prompt_tokens,
        )
        return events_of(request, answer, started, phase)

    @property
    def _connection(self) -> dict[str, str]:
        return _LAST_ON_ITS_CONNECTION if self._server.settings.url.lower().startswith("http:") else {}
