"""Asking a TGI server about itself: readiness, capacity, capabilities, version.

The server has no slots but permits: a request beyond `max_concurrent_requests` is refused at once. What is free is what
the gauges leave, and never more than our own streams leave.

Implements: ADAPT-3000, ADAPT-3012, OC-ADAPT-5040, OC-ADAPT-5050.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter_api import AdapterError, Capabilities, WorkerError, WorkerHealth, WorkerProps
from http_util.engine import ill_health

from . import reports

if TYPE_CHECKING:
    from http_util.engine import Engine
    from http_util.remembered import Remembered

    from .reports import EngineFacts
    from .settings import TgiSettings

FEATURES = frozenset({"cancel", "chat", "seed", "stop"})


async def facts(engine: Engine) -> EngineFacts:
    """Ask `/info`; raise `WorkerError`."""
    return await engine.report("/info", reports.engine_facts)


async def health(engine: Engine, known: Remembered[EngineFacts]) -> WorkerHealth:
    """Return whether the server answers and can work; whatever is wrong with it is a report."""
    try:
        await engine.report("/health", bytes, retry=None)
    except WorkerError as failure:
        known.doubt()
        return ill_health(failure)
    await known.known()
    return WorkerHealth(live=True, ready=True)


async def props(engine: Engine, known: Remembered[EngineFacts], ours: int) -> WorkerProps:
    """Return the capacity at this moment, of which `ours` requests are in use; raise `WorkerError`."""
    permits = (await known.learn()).permits
    gauges = await _gauges(engine)
    if gauges is None:
        return WorkerProps(slots_total=permits)
    held = max(sum(gauges), ours)
    free = None if permits is None else max(permits - held, 0)
    return WorkerProps(slots_total=permits, slots_free=free, queue_depth=gauges.queued)


async def capabilities(known: Remembered[EngineFacts], settings: TgiSettings) -> Capabilities:
    """Return what the server serves; raise `WorkerError`."""
    told = await known.learn()
    ctx_max = min((size for size in (told.ctx_max, settings.ctx_max) if size is not None), default=None)
    return Capabilities(
        engine="tgi",
        engine_version=settings.engine_version or told.version or "unknown",
        model=told.model,
        model_digest=settings.model_digest or told.revision,
        ctx_max=ctx_max,
        max_tokens_out=ctx_max,
        concurrency=told.permits,
        features=FEATURES,
    )


async def version(known: Remembered[EngineFacts], configured: str | None) -> str:
    """Return the configured version or that of the server; raise `WorkerError`."""
    told = (await known.learn()).version
    found = configured or told
    if found is None:
        raise AdapterError("info: the server does not tell its version")
    return found


async def _gauges(engine: Engine) -> reports.Gauges | None:
    try:
        return await engine.report("/metrics", reports.gauges)
    except AdapterError:
        return None
