"""The llama.cpp adapter: which call is made when, and within which time.

Version, model and digest reach `Started` from memory, without another call. They are learned anew by every `props`,
`capabilities` and `engine_version`, and by the next call after anything that a restart looks like: a report that the
engine is away or loading, a request that did not reach its end marker, a last frame that names another model.

A cancel closes the connection; the server looks about once a second and then frees the slot. The header that would
let a generation outlive its connection (`X-Conversation-Id`) is never sent.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101, OC-ADAPT-5001, OC-ADAPT-5010, OC-ADAPT-5011.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, final

from adapter_api import CancelMode, CancelSupport, Capabilities, Started, WorkerHealth, WorkerProps, Workload
from http_util.engine import correlation, drawn_seed, json_as, until
from http_util.live import LiveStreams
from http_util.pieces import Embeddings, Ranking, embedding_body, events_of, rerank_body

from . import mapping, probes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import JsonValue, TaskId, TaskRequest, TokenEvent
    from http_util.stream import EventStream

    from .server import Server

_LAST_ON_ITS_CONNECTION = {"connection": "close"}
"""The server closes the connection after a stream, though it promises to keep it: using it again would be a race."""
_ONE_PIECE: dict[Workload, tuple[str, Callable[[TaskRequest], JsonValue], type[Embeddings | Ranking]]] = {
    Workload.EMBEDDING: ("/v1/embeddings", embedding_body, Embeddings),
    Workload.RERANK: ("/rerank", rerank_body, Ranking),
}


@final
class LlamaCppAdapter:
    """One llama.cpp server, spoken to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine
        self._live = LiveStreams()

    def __repr__(self) -> str:
        return f"<LlamaCppAdapter {self._engine!r} streams={len(self._live)}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine stops when its connection is closed."""
        return CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask `/health`, once; an engine that is away, loading or ill is a report."""
        return await probes.health(self._server)

    async def props(self) -> WorkerProps:
        """Ask `/props`, and `/slots` and `/metrics` where the server has them on."""
        return await probes.props(self._server)

    async def capabilities(self) -> Capabilities:
        """Ask what the server serves; embeddings and rerank are tried with an empty body, which costs it nothing."""
        return await probes.capabilities(self._server)

    async def engine_version(self) -> str:
        """Ask `/props` for `build_info`; raise `AdapterError` if the server does not tell."""
        return await probes.version(self._server)

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion, or answer an embedding or rerank in one piece; see `WorkerAdapter.submit`."""
        if request.workload is not Workload.COMPLETION:
            return self._live.call(request.task_id, partial(self._answer, request))
        seed = drawn_seed(self._engine.context.random()) if request.seed is None else request.seed
        reading = mapping.Reading(partial(self._started, request, seed), self._engine.failure_in_stream)
        return self._live.stream(request.task_id, self._completion(request, seed, reading), reading)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _completion(
        self, request: TaskRequest, seed: int, reading: mapping.Reading
    ) -> AsyncIterator[EventStream]:
        ends_at = self._engine.ends_at(request)
        with until(ends_at, "completion"):
            facts = await self._server.memory.known()
            prompt = await self._prompt(request)
        body = mapping.completion(request, prompt, seed)
        headers = {**correlation(request), **_LAST_ON_ITS_CONNECTION}
        try:
            async with self._engine.events("/completion", body, ends_at=ends_at, headers=headers) as events:
                yield events
        finally:
            if facts is None or reading.model != facts.alias:  # no last frame, or that of another model
                self._server.memory.doubt()

    async def _prompt(self, request: TaskRequest) -> str:
        """Return the prompt, which for a chat the server makes with the model's own template."""
        if not request.messages:
            return request.prompt
        body = mapping.template(request.messages)
        parse = json_as(mapping.Prompt)
        answer = await self._engine.call("/apply-template", body, parse, phase="template", headers=correlation(request))
        return answer.prompt

    async def _answer(self, request: TaskRequest) -> list[TokenEvent]:
        """Return the events of an embedding or a rerank."""
        path, body, kind = _ONE_PIECE[request.workload]
        phase = request.workload.value
        with until(self._engine.ends_at(request), phase):
            await self._server.memory.known()
            answer = await self._engine.call(
                path, body(request), json_as(kind), phase=phase, headers=correlation(request)
            )
        started = self._started(request, None, answer.usage.prompt_tokens, None)
        return events_of(request, answer, started, phase)

    def _started(self, request: TaskRequest, seed: int | None, tokens_in: int | None, warmth: bool | None) -> Started:
        facts = self._server.facts
        return Started(
            engine_version=None if facts is None else facts.version,
            model_digest=self._server.model_digest,
            sampler_profile_version=request.sampler_profile_version,
            seed=seed,
            tokens_in=tokens_in,
            kv_warmth=warmth,
        )
