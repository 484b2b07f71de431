"""The Triton adapter: which call is made when, and within which time.

What the model takes is known before anything is asked of it, from its metadata, which is remembered until something
looks like a restart: a report that the model is away, a request that did not come to a good end.

A cancel closes the connection. Over gRPC the server notices at once; over HTTP it notices with the first response that
it cannot write, so a model that can be stopped by request id is told so as well.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101, OC-ADAPT-5060, OC-ADAPT-5070.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    InternalError,
    PoolUnavailable,
    Started,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
)
from http_util.engine import correlation, drawn_seed, until
from http_util.live import LiveStreams
from http_util.stream import open_events

from . import bodies, dialects, errors, one_piece, probes, responses
from .reading import Expected, Reading
from .settings import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskId, TaskRequest, TokenEvent
    from http_util.stream import EventStream

    from .dialects import Input
    from .grpc_transport import GrpcTransport
    from .reports import EngineFacts
    from .server import Server

STOP_S = 1.0
"""The longest that a stop request may take; the connection of the stopped one is closed before it."""
_REFUSED = (AdapterError, InternalError, PoolUnavailable)
"""After these the engine has nothing more to stop."""


@final
class TritonAdapter:
    """One model on one Triton server, spoken to; `grpc` is None unless completions travel so."""

    def __init__(self, server: Server, grpc: GrpcTransport | None) -> None:
        self._server = server
        self._engine = server.engine
        self._settings = server.settings
        self._grpc = grpc
        self._live = LiveStreams()
        self._unstopped: set[TaskId] = set()

    def __repr__(self) -> str:
        return f"<TritonAdapter {self._engine!r} streams={len(self._live)}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine stops when its connection is closed, and by request id where the settings say so."""
        return CancelSupport(CancelMode.ABORT if self._settings.stop_by_request_id else CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask whether the server lives and the model is ready, each once."""
        return await probes.health(self._server)

    async def props(self) -> WorkerProps:
        """Ask for statistics, and for metrics where the settings name their listener."""
        return await probes.props(self._server)

    async def capabilities(self) -> Capabilities:
        """Ask for metadata, configuration and statistics of the model."""
        return await probes.capabilities(self._server)

    async def engine_version(self) -> str:
        """Ask for the versions of the server, the model and TensorRT-LLM; raise `AdapterError` if it tells none."""
        return await probes.version(self._server)

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Stream a completion, or answer in one piece; see `WorkerAdapter.submit`."""
        if request.workload is not Workload.COMPLETION:
            return self._live.call(request.task_id, partial(self._numbers, request))
        seed = drawn_seed(self._engine.context.random()) if request.seed is None else request.seed
        if self._settings.transport is Transport.INFER:
            return self._live.call(request.task_id, partial(self._whole, request, seed))
        reading = self._reading(request, seed)
        return self._live.stream(request.task_id, self._stream(request, seed, reading), reading, at_end=reading.at_end)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request and, where the model can be told to stop, tell it; see `WorkerAdapter`."""
        await self._live.cancel(task_id)
        with trio.move_on_after(STOP_S):
            await self._stop(task_id)

    @asynccontextmanager
    async def _stream(self, request: TaskRequest, seed: int, reading: Reading) -> AsyncIterator[EventStream]:
        ends_at = self._engine.ends_at(request)
        with until(ends_at, "completion"):
            facts = await self._server.facts()
        fields = self._fields(request, facts, seed, reading)
        if self._settings.stop_by_request_id:
            self._unstopped.add(request.task_id)
        try:
            async with self._opened(request, facts, fields, ends_at) as events:
                yield events
        except _REFUSED:
            self._unstopped.discard(request.task_id)
            raise
        finally:
            if reading.is_whole:
                self._unstopped.discard(request.task_id)
            else:
                self._server.memory.doubt()
                with trio.move_on_after(STOP_S, shield=True):
                    await self._stop(request.task_id)

    def _opened(
        self, request: TaskRequest, facts: EngineFacts, fields: dict[str, Input], ends_at: float | None
    ) -> AbstractAsyncContextManager[EventStream]:
        if self._grpc is not None:
            return self._grpc.events(request, bodies.tensors(fields, facts.inputs), ends_at)
        path, body = self._server.path("/generate_stream"), bodies.generate(request.task_id, fields)
        return open_events(
            self._engine.client_for("completion"),
            path,
            json=body,
            bounds=self._engine.bounds(ends_at),
            classify=partial(errors.refusal, failure=self._engine.failure),
            headers=correlation(request),
        )

    def _fields(self, request: TaskRequest, facts: EngineFacts, seed: int, reading: Reading) -> dict[str, Input]:
        """Return what the model is asked, and tell `reading` what to expect of it."""
        dialect = self._server.dialect(facts)
        has_reason = dialects.tells_finish_reason(dialect, facts.inputs)
        expected = Expected(finish_reason=has_reason, max_tokens=request.max_tokens)
        reading.expect(expected, self._server.pieces(facts, dialect))
        stream = facts.is_decoupled and self._settings.transport is not Transport.INFER
        fields = dialects.completion(request, dialect, facts.inputs, seed=seed, stream=stream)
        bodies.check_room(fields, facts.inputs)
        return fields

    async def _whole(self, request: TaskRequest, seed: int) -> Iterable[TokenEvent]:
        """Return the events of a completion in one piece."""
        reading = self._reading(request, seed)
        try:
            with until(self._engine.ends_at(request), "completion"):
                facts = await self._server.facts()
                inputs = bodies.tensors(self._fields(request, facts, seed, reading), facts.inputs)
                return await one_piece.completion(self._server, request, inputs, reading)
        finally:
            if not reading.is_whole:
                self._server.memory.doubt()

    async def _numbers(self, request: TaskRequest) -> Iterable[TokenEvent]:
        """Return the events of an embedding or a rerank."""
        with until(self._engine.ends_at(request), request.workload.value):
            await self._server.memory.known()
            return await one_piece.numbers(self._server, request, self._started(request, None, None))

    async def _stop(self, task_id: TaskId) -> None:
        """Tell the model to stop a request that it may still work on; whatever comes of it is no error."""
        if task_id not in self._unstopped:
            return
        self._unstopped.discard(task_id)
        with suppress(WorkerError):  # it may have ended by itself, and its connection is closed in any case
            await self._server.stop(task_id)

    def _reading(self, request: TaskRequest, seed: int) -> Reading:
        if self._grpc is not None:
            return Reading(responses.from_message, partial(self._started, request, seed), self._grpc.failure)
        return Reading(responses.from_event, partial(self._started, request, seed), self._failure)

    def _failure(self, body: bytes, _is_first: bool) -> WorkerError:
        return self._engine.failure_in_stream(body)

    def _started(self, request: TaskRequest, seed: int | None, tokens_in: int | None) -> Started:
        facts = self._server.memory.value
        if facts is None or not dialects.takes_seed(facts.inputs):
            seed = None  # the model cannot be given one
        return Started(
            engine_version=None if facts is None else facts.version,
            model_digest=self._settings.model_digest,
            sampler_profile_version=request.sampler_profile_version,
            seed=seed,
            tokens_in=tokens_in,
        )
