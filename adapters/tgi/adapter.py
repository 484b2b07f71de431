"""The TGI adapter: which call is made when, and within which time.

The server answers a stream with its headers before it has looked for room, so `Started` waits for the first frame: an
overload, or a fault of the request, comes as an error inside a 200. Version and model reach `Started` from memory; they
are learned anew by every `props`, `capabilities` and `engine_version`, and by the next call after a failure.

A cancel closes the connection: the request leaves the batch at its next token, or the queue, and its permit is free.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101, OC-ADAPT-5040, OC-ADAPT-5050.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, final

import msgspec

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
from http_util.engine import correlation, drawn_seed, json_as, until
from http_util.live import LiveStreams
from http_util.openai_api.chunks import ChunkReading
from http_util.remembered import Remembered

from . import chat, mapping, probes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import JsonValue, TaskId, TaskRequest, TokenEvent
    from http_util.engine import Engine
    from http_util.stream import EventStream

    from .settings import TgiSettings

    _Call = tuple[str, JsonValue]  # path and body


@final
class TgiAdapter:
    """One TGI server, spoken to."""

    def __init__(self, engine: Engine, settings: TgiSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._live = LiveStreams()
        self._facts = Remembered(partial(probes.facts, engine))
        self._added = Remembered(self._ask_what_is_added)

    def __repr__(self) -> str:
        context = self._engine.context
        return f"<TgiAdapter {context.pool_id}/{context.replica_id} streams={len(self._live)}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine stops when its connection is closed."""
        return CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask `/health`, once; an engine that is away or ill is a report."""
        return await probes.health(self._engine, self._facts)

    async def props(self) -> WorkerProps:
        """Ask `/info` and `/metrics` for permits, those that are taken, and requests that wait."""
        return await probes.props(self._engine, self._facts, len(self._live))

    async def capabilities(self) -> Capabilities:
        """Ask `/info` what the server serves."""
        return await probes.capabilities(self._facts, self._settings)

    async def engine_version(self) -> str:
        """Ask `/info` for the version; raise `AdapterError` if the server does not tell."""
        return await probes.version(self._facts, self._settings.engine_version)

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion or a chat; see `WorkerAdapter.submit`."""
        seed = drawn_seed(self._engine.context.random()) if request.seed is None else request.seed
        started, failure = partial(self._started, request, seed), self._engine.failure_in_stream
        reading: mapping.Reading | ChunkReading
        if request.messages and self._settings.api == "openai":
            reading = ChunkReading(lambda _told: (started(),), failure)
            call = partial(self._openai_call, request, seed)
        else:
            reading = mapping.Reading(started, failure)
            call = partial(self._native_call, request, seed)
        return self._live.stream(request.task_id, self._generation(request, call, reading), reading)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _generation(
        self, request: TaskRequest, call: Callable[[], Awaitable[_Call]], reading: mapping.Reading | ChunkReading
    ) -> AsyncIterator[EventStream]:
        if request.workload is not Workload.COMPLETION:
            raise AdapterError(f"{request.workload.value}: this engine has no such workload", blames_request=True)
        ends_at = self._engine.ends_at(request)
        with until(ends_at, "completion"):
            path, body = await call()
            await self._facts.known()
        try:
            async with self._engine.events(path, body, ends_at=ends_at, headers=correlation(request)) as events:
                yield events
        finally:
            if not reading.is_over:
                self._facts.doubt()
                self._added.doubt()

    async def _native_call(self, request: TaskRequest, seed: int) -> _Call:
        parameters = mapping.parameters(request, seed, self._settings.model)
        return "/generate_stream", {"inputs": await self._prompt(request), "parameters": parameters}

    async def _openai_call(self, request: TaskRequest, seed: int) -> _Call:
        return "/v1/chat/completions", chat.completion(request, seed, self._settings.model)

    async def _prompt(self, request: TaskRequest) -> str:
        """Return the prompt, which for a chat the server makes with the model's own template."""
        if not request.messages:
            return request.prompt
        templated = await self._engine.call(
            "/chat_tokenize",
            chat.template(request.messages, self._settings.model),
            json_as(chat.Templated),
            phase="template",
            headers=correlation(request),
        )
        added = await self._added.known()
        if added is None:  # whoever asked was cancelled, or did not get an answer: a doubtful prompt is none
            added = await self._added.learn()
        return chat.prompt(templated, added)

    async def _ask_what_is_added(self) -> tuple[int, ...]:
        """Return the ids of the tokens that the tokenizer puts before a text; none where there is no way to ask."""
        parse = partial(msgspec.json.decode, type=list[chat.TokenView])
        try:
            probed = await self._engine.call(
                "/tokenize", chat.PROBE, parse, phase="template", bounds_s=self._engine.report_s
            )
        except AdapterError as refusal:
            if refusal.upstream_status != HTTPStatus.NOT_FOUND:
                raise
            return ()
        return chat.added_before(probed)

    def _started(self, request: TaskRequest, seed: int) -> Started:
        known, settings = self._facts.value, self._settings
        return Started(
            engine_version=settings.engine_version or (None if known is None else known.version),
            model_digest=settings.model_digest or (None if known is None else known.revision),
            sampler_profile_version=request.sampler_profile_version,
            seed=seed,
        )
