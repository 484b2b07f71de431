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
from http import HTTPStatus
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
from http_util.client import ClientSettings, open_client
from http_util.live import LiveStreams
from http_util.status import EngineReply
from http_util.stream import StreamBounds, open_events

from . import mapping, reports
from . import settings as _settings
from .server import Server, json_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from adapter_api import AdapterContext, JsonValue, TaskId, TaskRequest, TokenEvent
    from http_util.stream import EventStream

    from .reports import EngineFacts
    from .settings import LlamaCppSettings

DIGEST_BYTES_PER_SNAPSHOT = 1024**3
DIGEST_BYTES_PER_PROBE = 64 * 1024**2
"""How much of the model file a call hashes: one to two seconds, and less than a tenth of one."""
FEATURES = frozenset({"cancel", "chat", "kv_reuse", "seed", "stop"})
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
        try:
            is_ok = await self._server.report("/health", reports.is_ok, retry=None)
        except WorkerError as failure:
            self._server.forget()
            return reports.ill_health(failure)
        if is_ok:
            await self._server.known()
        return WorkerHealth(live=True, ready=is_ok, detail="" if is_ok else "not ok")

    async def props(self) -> WorkerProps:
        """Ask `/props`, and `/slots` and `/metrics` where the server has them on."""
        facts = await self._server.learn()
        total, free = await self._slots(facts)
        gauges = await self._gauges(facts)
        await self._server.advance_digest(DIGEST_BYTES_PER_PROBE)
        if free is None and total is not None and gauges.processing is not None:
            free = max(total - gauges.processing, 0)
        return WorkerProps(
            slots_total=total,
            slots_free=free,
            queue_depth=gauges.deferred,
            kv_cache_usage_ratio=gauges.kv_usage,
        )

    async def capabilities(self) -> Capabilities:
        """Ask what the server serves; embeddings and rerank are tried with an empty body, which costs it nothing."""
        facts = await self._server.learn()
        workloads = {Workload.COMPLETION}
        for workload, path in ((Workload.EMBEDDING, "/v1/embeddings"), (Workload.RERANK, "/rerank")):
            if await self._serves(path):
                workloads.add(workload)
        await self._server.advance_digest(DIGEST_BYTES_PER_SNAPSHOT)
        limits = [size for size in (facts.ctx_per_slot, self._settings.ctx_max) if size is not None]
        ctx_max = min(limits, default=None)
        return Capabilities(
            engine="llamacpp",
            engine_version=facts.version or "unknown",
            model=facts.model,
            model_digest=self._server.model_digest,
            ctx_max=ctx_max,
            max_tokens_out=ctx_max,
            concurrency=facts.slots,
            workloads=frozenset(workloads),
            features=FEATURES,
        )

    async def engine_version(self) -> str:
        """Ask `/props` for `build_info`; raise `AdapterError` if the server does not tell."""
        facts = await self._server.learn()
        if facts.version is None:
            raise AdapterError("props: the server does not tell its version")
        return facts.version

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
                self._server.forget()

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

    async def _slots(self, facts: EngineFacts) -> tuple[int | None, int | None]:
        """Return total and free slots; a server without `/slots` tells the total alone."""
        if not facts.has_slots:
            return facts.slots, None
        try:
            return await self._server.report("/slots", reports.slots)
        except AdapterError:
            return facts.slots, None

    async def _gauges(self, facts: EngineFacts) -> reports.Gauges:
        if not facts.has_metrics:
            return reports.Gauges()
        try:
            return await self._server.report("/metrics", reports.gauges)
        except AdapterError:
            return reports.Gauges()

    async def _serves(self, path: str) -> bool:
        """Whether the server takes requests to `path`: it finds fault with an empty one unless that kind is off."""
        try:
            await self._server.call(path, {}, bytes, phase="capabilities", bounds_s=self._server.report_s)
        except AdapterError as refusal:
            return refusal.upstream_status == HTTPStatus.BAD_REQUEST and "Pooling type" not in refusal.message
        return True


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


@final
class LlamaCppFactory:
    """Opens llama.cpp adapters."""

    engine = "llamacpp"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `LlamaCppSettings`."""
        return _settings.schema()

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[LlamaCppAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = _settings.parse(settings)
        async with open_client(_client_settings(given, context)) as client:
            server = Server(client, given, context)
            try:
                yield LlamaCppAdapter(server, given, context)
            finally:
                server.close()


def _client_settings(given: LlamaCppSettings, context: AdapterContext) -> ClientSettings:
    key = given.api_key
    return ClientSettings(
        base_url=given.url,
        headers={} if key is None else {"authorization": f"Bearer {key.reveal()}"},
        connect_s=given.timeouts.connect_ms / 1000,
        proxy=None if given.proxy is None else given.proxy.reveal(),
        verify=given.verify_tls,
        dial=context.dial,
    )
