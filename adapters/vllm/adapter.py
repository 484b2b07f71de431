"""The vLLM adapter: which call is made when, and within which time.

Version and model reach `Started` from memory. They are learned anew by every `capabilities` and `engine_version`, and
by the next call after anything that a restart looks like: a report that the server is away, an answer that did not end
well. A cancel closes the connection, and the server aborts the request when it notices, between two steps.

The server answers at once and may then let a request wait: a silence before the first token is told as the wait for a
seat if its metrics say that there is a queue.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101, OC-ADAPT-5020, OC-ADAPT-5030.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, cast, final

from adapter_api import (
    CancelMode,
    CancelSupport,
    Capabilities,
    DeadlineUnmet,
    DecodeTimeout,
    Started,
    WorkerHealth,
    WorkerProps,
    Workload,
)
from http_util.engine import drawn_seed, json_as, until
from http_util.live import LiveStreams
from http_util.openai_api.chunks import ChunkReading
from http_util.pieces import Embeddings, Ranking, embedding_body, events_of, rerank_body

from . import mapping
from .server import ROUTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from adapter_api import JsonValue, TaskId, TaskRequest, TokenEvent, WorkerError
    from http_util.openai_api.answers import Beginning
    from http_util.stream import EventStream

    from .server import Server

_ONE_PIECE: dict[Workload, tuple[Callable[[TaskRequest], dict[str, JsonValue]], type[Embeddings | Ranking]]] = {
    Workload.EMBEDDING: (embedding_body, Embeddings),
    Workload.RERANK: (rerank_body, Ranking),
}


@final
class VllmAdapter:
    """One vLLM server, spoken to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._live = LiveStreams()

    def __repr__(self) -> str:
        return f"<VllmAdapter {self._engine!r} streams={len(self._live)}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine stops when its connection is closed."""
        return CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask `/health`, once; an engine that is away or dead is a report."""
        return await self._server.health()

    async def props(self) -> WorkerProps:
        """Ask `/metrics` for what runs, what waits and how full the cache is."""
        return await self._server.props()

    async def capabilities(self) -> Capabilities:
        """Ask what the server serves; each kind of work is tried with an empty body, which costs it nothing."""
        return await self._server.capabilities()

    async def engine_version(self) -> str:
        """Ask `/version`."""
        return (await self._server.memory.learn()).version

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion, or answer an embedding or rerank in one piece; see `WorkerAdapter.submit`."""
        if request.workload is not Workload.COMPLETION:
            return self._live.call(request.task_id, partial(self._answer, request))
        seed = self._seed(request)
        reading = ChunkReading(partial(self._begin, request, seed), self._engine.failure_in_stream)
        source = self._completion(request, seed, reading)
        return self._live.stream(request.task_id, source, reading, at_end=reading.at_end)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _completion(
        self, request: TaskRequest, seed: int | None, reading: ChunkReading
    ) -> AsyncIterator[EventStream]:
        ends_at = self._engine.ends_at(request)
        with until(ends_at, "completion"):
            model = await self._server.model()
        more = cast("Mapping[str, JsonValue]", self._server.settings.extra_body)
        path, body = mapping.call(request, model=model, seed=seed, more=more)
        try:
            async with self._engine.events(path, body, ends_at=ends_at, headers=mapping.headers(request)) as events:
                events.explain = partial(self._explain, reading)
                yield events
        finally:
            if not reading.is_over:
                self._server.memory.doubt()

    async def _explain(self, reading: ChunkReading, error: WorkerError) -> WorkerError:
        """Return what a silence means: before its first token, a request may wait in the server's queue."""
        if reading.has_begun or not isinstance(error, DecodeTimeout):
            return error
        line = await self._server.line()
        if line is None:
            return error
        words = f"{error.message}: {line.waiting} wait in the engine's queue"
        return DeadlineUnmet(words, retriable=True, retry_after_ms=line.wait_ms)

    async def _answer(self, request: TaskRequest) -> list[TokenEvent]:
        """Return the events of an embedding or a rerank."""
        write, kind = _ONE_PIECE[request.workload]
        phase = request.workload.value
        with until(self._engine.ends_at(request), phase):
            model = await self._server.model()
            body = {**({} if model is None else {"model": model}), **write(request)}
            answer = await self._engine.call(
                ROUTES[request.workload], body, json_as(kind), phase=phase, headers=mapping.headers(request)
            )
        return events_of(request, answer, self._started(request, None, answer.usage.prompt_tokens), phase)

    def _seed(self, request: TaskRequest) -> int | None:
        if request.seed is not None or not self._server.settings.draws_seed:
            return request.seed
        return drawn_seed(self._engine.context.random())

    def _begin(self, request: TaskRequest, seed: int | None, told: Beginning) -> list[TokenEvent]:
        return [self._started(request, seed, told.tokens_in)]

    def _started(self, request: TaskRequest, seed: int | None, tokens_in: int | None) -> Started:
        return Started(
            engine_version=self._server.version,
            model_digest=self._server.settings.model_digest,
            sampler_profile_version=request.sampler_profile_version,
            seed=seed,
            tokens_in=tokens_in,
        )
