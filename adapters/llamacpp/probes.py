"""Asking the server about itself: readiness, capacity, capabilities, version.

Each function makes its calls one after the other, each bounded; what the server does not tell stays unknown. On the
side they work out the digest of the model file, a bounded piece at a time.

Implements: ADAPT-3000, ADAPT-3012, OC-ADAPT-5001, OC-ADAPT-5011.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from adapter_api import AdapterError, Capabilities, WorkerError, WorkerHealth, WorkerProps, Workload
from http_util.engine import ill_health

from . import reports

if TYPE_CHECKING:
    from .reports import EngineFacts
    from .server import Server

DIGEST_BYTES_PER_SNAPSHOT = 1024**3
"""How much of the model file a snapshot of capabilities hashes: one to two seconds of work."""
DIGEST_BYTES_PER_PROBE = 64 * 1024**2
"""How much a probe of the capacity hashes: less than a tenth of a second."""
FEATURES = frozenset({"cancel", "chat", "kv_reuse", "seed", "stop"})
_OPTIONAL = {Workload.EMBEDDING: "/v1/embeddings", Workload.RERANK: "/rerank"}


async def health(server: Server) -> WorkerHealth:
    """Return whether the server answers and can work; whatever is wrong with it is a report."""
    try:
        is_ok = await server.engine.report("/health", reports.is_ok, retry=None)
    except WorkerError as failure:
        server.memory.doubt()
        return ill_health(failure, detail="loading model" if reports.is_loading(failure) else None)
    if is_ok:
        await server.memory.known()
    return WorkerHealth(live=True, ready=is_ok, detail="" if is_ok else "not ok")


async def props(server: Server) -> WorkerProps:
    """Return the capacity at this moment; raise `WorkerError`."""
    facts = await server.memory.learn()
    total, free = await _slots(server, facts)
    gauges = await _gauges(server, facts)
    await server.advance_digest(DIGEST_BYTES_PER_PROBE)
    if free is None and total is not None and gauges.processing is not None:
        free = max(total - gauges.processing, 0)
    return WorkerProps(
        slots_total=total,
        slots_free=free,
        queue_depth=gauges.deferred,
        kv_cache_usage_ratio=gauges.kv_usage,
    )


async def capabilities(server: Server) -> Capabilities:
    """Return what the server serves; raise `WorkerError`."""
    facts = await server.memory.learn()
    served = {workload for workload, path in _OPTIONAL.items() if await _serves(server, path)}
    await server.advance_digest(DIGEST_BYTES_PER_SNAPSHOT)
    ctx_max = min((size for size in (facts.ctx_per_slot, server.ctx_limit) if size is not None), default=None)
    return Capabilities(
        engine="llamacpp",
        engine_version=facts.version or "unknown",
        model=facts.model,
        model_digest=server.model_digest,
        ctx_max=ctx_max,
        max_tokens_out=ctx_max,
        concurrency=facts.slots,
        workloads=frozenset({Workload.COMPLETION, *served}),
        features=FEATURES,
    )


async def version(server: Server) -> str:
    """Return the version in the server's own words; raise `WorkerError`."""
    facts = await server.memory.learn()
    if facts.version is None:
        raise AdapterError("props: the server does not tell its version")
    return facts.version


async def _slots(server: Server, facts: EngineFacts) -> tuple[int | None, int | None]:
    """Return total and free slots; a server without `/slots` tells the total alone."""
    if not facts.has_slots:
        return facts.slots, None
    try:
        return await server.engine.report("/slots", reports.slots)
    except AdapterError:
        return facts.slots, None


async def _gauges(server: Server, facts: EngineFacts) -> reports.Gauges:
    if not facts.has_metrics:
        return reports.Gauges()
    try:
        return await server.engine.report("/metrics", reports.gauges)
    except AdapterError:
        return reports.Gauges()


async def _serves(server: Server, path: str) -> bool:
    """Whether the server takes requests to `path`: it finds fault with an empty one unless that kind is off."""
    try:
        await server.engine.call(path, {}, bytes, phase="capabilities", bounds_s=server.engine.report_s)
    except AdapterError as refusal:
        return refusal.upstream_status == HTTPStatus.BAD_REQUEST and "Pooling type" not in refusal.message
    return True
