"""One vLLM server: what it says of itself, and what is remembered of that.

Health has no body, the version and the list of models have a route each, and everything about load is in the metrics.
How many requests run at once at most is nowhere: without the setting it is unknown.

Implements: ADAPT-3000, ADAPT-3003, ADAPT-3012, OC-ADAPT-5020, OC-ADAPT-5030.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, final

import msgspec
from msgspec import Meta

from adapter_api import AdapterError, Capabilities, WorkerError, WorkerHealth, WorkerProps, Workload
from http_util.engine import ill_health, json_as
from http_util.openai_api.models import Models, shown
from http_util.prometheus import count, samples, total
from http_util.remembered import Remembered
from http_util.status import MAX_RETRY_AFTER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from http_util.engine import Engine
    from http_util.prometheus import Sample

    from .settings import VllmSettings

FEATURES = frozenset({"cancel", "chat", "seed", "stop"})
ROUTES = {
    Workload.COMPLETION: "/v1/completions",
    Workload.EMBEDDING: "/v1/embeddings",
    Workload.RERANK: "/rerank",
}
_NO_FIELDS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
_CACHE_USE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")


class _Version(msgspec.Struct):
    version: Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What stays the same while one server process lives; None is unknown. `ctx` is in tokens."""

    version: str
    model: str | None
    ctx: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """The requests that wait in the server's queue, and how long the last of them may wait, None if nobody knows."""

    waiting: int
    wait_ms: int | None


@final
class Server:
    """The server behind `engine`."""

    def __init__(self, engine: Engine, settings: VllmSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.memory = Remembered(self._ask)

    def __repr__(self) -> str:
        return f"<Server {self.memory.value}>"

    @property
    def version(self) -> str | None:
        """The version as far as it is known."""
        facts = self.memory.value
        return self.settings.engine_version if facts is None else facts.version

    async def model(self) -> str | None:
        """Return the model to ask for; None, which leaves it to the server, if it is not known."""
        facts = await self.memory.known()
        return self.settings.model if facts is None else facts.model

    async def health(self) -> WorkerHealth:
        """Return whether the server answers and its engine lives; whatever is wrong with it is a report."""
        try:
            await self.engine.report("/health", bytes, retry=None)
        except WorkerError as failure:
            self.memory.doubt()
            return ill_health(failure)
        await self.memory.known()
        return WorkerHealth(live=True, ready=True)

    async def props(self) -> WorkerProps:
        """Return the load at this moment; raise `WorkerError`. A server without metrics tells nothing."""
        try:
            found = await self.engine.report("/metrics", samples)
        except AdapterError:
            return WorkerProps(slots_total=self.settings.slots)
        running, slots = count(found, "vllm:num_requests_running"), self.settings.slots
        return WorkerProps(
            slots_total=slots,
            slots_free=None if slots is None or running is None else max(slots - running, 0),
            queue_depth=count(found, "vllm:num_requests_waiting"),
            kv_cache_usage_ratio=cache_use(found),
        )

    async def line(self) -> Line | None:
        """Return the queue at this moment; None if nobody waits, or the server does not tell."""
        try:
            return line(await self.engine.report("/metrics", samples, retry=None))
        except WorkerError:
            return None

    async def capabilities(self) -> Capabilities:
        """Return what the server serves; raise `WorkerError`."""
        facts = await self.memory.learn()
        ctx_max = min((size for size in (facts.ctx, self.settings.ctx_max) if size is not None), default=None)
        return Capabilities(
            engine="vllm",
            engine_version=facts.version,
            model=shown(facts.model or "unknown"),
            model_digest=self.settings.model_digest,
            ctx_max=ctx_max,
            max_tokens_out=ctx_max,
            concurrency=self.settings.slots,
            workloads=frozenset([workload for workload, path in ROUTES.items() if await self._serves(path)]),
            features=FEATURES,
        )

    async def _ask(self) -> EngineFacts:
        version = self.settings.engine_version
        if version is None:
            version = (await self.engine.report("/version", json_as(_Version))).version
        wanted = self.settings.model
        model = (await self.engine.report("/v1/models", json_as(Models), phase="models")).named(wanted)
        return (
            EngineFacts(version, wanted, None)
            if model is None
            else EngineFacts(version, model.id, model.max_model_len or None)
        )

    async def _serves(self, path: str) -> bool:
        """Whether the server takes requests to `path`: it finds fault with an empty one unless the model cannot."""
        try:
            await self.engine.call(path, {}, bytes, phase="capabilities", bounds_s=self.engine.report_s)
        except AdapterError as refusal:
            return refusal.upstream_status in _NO_FIELDS and "does not support" not in refusal.message
        return True


def line(found: Sequence[Sample]) -> Line | None:
    """Return the queue, None if it is empty: as often as it has a turn, a request takes as long as they took so far."""
    waiting, running = count(found, "vllm:num_requests_waiting"), count(found, "vllm:num_requests_running")
    if not waiting:
        return None
    spent_s, requests = (total(found, f"vllm:e2e_request_latency_seconds_{part}") for part in ("sum", "count"))
    if not requests or spent_s is None:
        return Line(waiting, None)
    return Line(waiting, round(min(1000 * spent_s / requests * waiting / max(running or 0, 1), MAX_RETRY_AFTER_MS)))


def cache_use(found: Sequence[Sample]) -> float | None:
    """Return the use of the KV cache from 0 to 1, of the fullest where several engines share an address."""
    for name in _CACHE_USE:
        values = [sample.value for sample in found if sample.name == name and 0 <= sample.value <= 1]
        if values:
            return max(values)
    return None
