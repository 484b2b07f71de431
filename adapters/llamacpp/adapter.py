"""The llama.cpp adapter: which call is made when, and within which time.

Version, model and digest reach `Started` from memory, without another call. They are learned anew by every `props`,
`capabilities` and `engine_version`, and by the next call after anything that a restart looks like: a report that the
engine is away or loading, a request that did not reach its end marker, a last frame that names another model.

A cancel closes the connection; the server looks about once a second and then frees the slot. The header that would
let a generation outlive its connection (`X-Conversation-Id`) is never sent.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101, OC-ADAPT-5001, OC-ADAPT-5010, OC-ADAPT-5011.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    DeadlineUnmet,
    End,
    Started,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
)
from http_util.live import LiveStreams
from http_util.status import EngineReply
from http_util.stream import StreamBounds, open_events

from . import mapping, probes
from .server import json_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from adapter_api import AdapterContext, JsonValue, TaskId, TaskRequest, TokenEvent
    from http_util.stream import EventStream

    from .server import Server
    from .settings import LlamaCppSettings

_LAST_ON_ITS_CONNECTION = {"connection": "close"}
"""The server closes the connection after a stream, though it promises to keep it: using it again would be a race."""
_ONE_PIECE: dict[
    Workload, tuple[str, Callable[[TaskRequest], JsonValue], type[mapping.Embeddings | mapping.Ranking]]
] = {
    Workload.EMBEDDING: ("/v1/embeddings", mapping.embedding, mapping.Embeddings),
    Workload.RERANK: ("/rerank", mapping.rerank, mapping.Ranking),
}


@final
class LlamaCppAdapter:
    """One llama.cpp server, spoken to."""

    def __init__(self, server: Server, settings: LlamaCppSettings, context: AdapterContext) -> None:
        self._server = server
        self._settings = settings
        self._timeouts = settings.timeouts
        self._context = context
        self._live = LiveStreams()

    def __repr__(self) -> str:
        return f"<LlamaCppAdapter {self._context.pool_id}/{self._context.replica_id} streams={len(self._live)}>"

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
        return await probes.capabilities(self._server, self._settings.ctx_max)

    async def engine_version(self) -> str:
        """Ask `/props` for `build_info`; raise `AdapterError` if the server does not tell."""
        return await probes.version(self._server)

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion, or answer an embedding or rerank in one piece; see `WorkerAdapter.submit`."""
        if request.workload is not Workload.COMPLETION:
            return self._live.call(request.task_id, partial(self._answer, request))
        seed = mapping.drawn_seed(self._context.random()) if request.seed is None else request.seed
        reading = mapping.Reading(partial(self._started, request, seed), self._failure_in_stream)
        return self._live.stream(request.task_id, self._completion(request, seed, reading), reading)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _completion(
        self, request: TaskRequest, seed: int, reading: mapping.Reading
    ) -> AsyncIterator[EventStream]:
        ends_at = self._ends_at(request)
        with _until(ends_at, "completion"):
            facts = await self._server.known()
            prompt = await self._prompt(request)
        try:
            async with open_events(
                self._server.client_for("completion"),
                "/completion",
                json=mapping.completion(request, prompt, seed),
                bounds=self._bounds(ends_at),
                classify=self._server.failure,
                headers={**_headers(request), **_LAST_ON_ITS_CONNECTION},
            ) as events:
                yield events
        finally:
            if facts is None or reading.model != facts.alias:  # no last frame, or that of another model
                self._server.doubt()

    async def _prompt(self, request: TaskRequest) -> str:
        """Return the prompt, which for a chat the server makes with the model's own template."""
        if not request.messages:
            return request.prompt
        answer = await self._server.call(
            "/apply-template",
            mapping.template(request.messages),
            json_as(mapping.Prompt),
            phase="template",
            bounds_s=self._timeouts.first_token_ms / 1000,
            headers=_headers(request),
        )
        return answer.prompt

    async def _answer(self, request: TaskRequest) -> list[TokenEvent]:
        """Return the events of an embedding or a rerank."""
        path, body, kind = _ONE_PIECE[request.workload]
        phase = request.workload.value
        with _until(self._ends_at(request), phase):
            await self._server.known()
            answer = await self._server.call(
                path,
                body(request),
                json_as(kind),
                phase=phase,
                bounds_s=self._timeouts.first_token_ms / 1000,
                headers=_headers(request),
            )
        if len(answer) != len(request.inputs):
            raise AdapterError(f"{phase}: {len(answer)} results for {len(request.inputs)} inputs")
        tokens_in = answer.usage.prompt_tokens
        end = End(tokens_out=0, decode_time_ms=0, tokens_in=tokens_in, result=answer.result)
        return [self._started(request, None, tokens_in, None), end]

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

    def _failure_in_stream(self, body: bytes) -> WorkerError:
        return self._server.failure(EngineReply(200, {}, body, "completion"))

    def _ends_at(self, request: TaskRequest) -> float | None:
        """Return the time at which the whole has to be over, if there is one."""
        limits_ms = [limit for limit in (self._timeouts.total_ms, request.deadline_ms) if limit is not None]
        return trio.current_time() + min(limits_ms) / 1000 if limits_ms else None

    def _bounds(self, ends_at: float | None) -> StreamBounds:
        return StreamBounds(
            connect_s=self._timeouts.connect_ms / 1000,
            first_token_s=self._timeouts.first_token_ms / 1000,
            idle_s=self._timeouts.idle_ms / 1000,
            total_s=None if ends_at is None else max(ends_at - trio.current_time(), 0),
        )


@contextmanager
def _until(ends_at: float | None, phase: str) -> Iterator[None]:
    """Bound what is done before a stream, or instead of one, by the request's own time."""
    with trio.CancelScope() as scope:
        if ends_at is not None:
            scope.deadline = ends_at
        yield
    if scope.cancelled_caught:
        raise DeadlineUnmet(f"{phase}: not finished within the time of the request")


def _headers(request: TaskRequest) -> Mapping[str, str]:
    return {} if request.correlation_id is None else {"x-correlation-id": request.correlation_id}
