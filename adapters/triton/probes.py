"""Asking the server about itself: readiness, capacity, capabilities, version.

A replica is one model, so it is ready when the server lives and that model is ready; `/v2/health/ready` would wait for
every model on the server. A server has no slots to tell of unless a backend exports them, and its metrics have a
listener of their own, which is asked only where the settings name it.

Implements: ADAPT-3000, ADAPT-3012, OC-ADAPT-5060, OC-ADAPT-5070.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from adapter_api import AdapterError, Capabilities, WorkerError, WorkerHealth, WorkerProps, Workload
from http_util.engine import ill_health

from . import dialects, reports

if TYPE_CHECKING:
    from .reports import EngineFacts
    from .server import Server


async def health(server: Server) -> WorkerHealth:
    """Return whether the server lives and the model is ready; whatever is wrong is a report."""
    try:
        await server.engine.report("/v2/health/live", bytes, phase="live", retry=None)
        await server.engine.report(server.path("/ready"), bytes, phase="ready", retry=None)
    except WorkerError as failure:
        server.memory.doubt()
        return ill_health(failure, detail=_detail(failure))
    await server.memory.known()
    return WorkerHealth(live=True, ready=True)


async def props(server: Server) -> WorkerProps:
    """Return the capacity at this moment; raise `WorkerError` if the server is away."""
    await server.statistics()
    if server.metrics is None:
        return WorkerProps()
    try:
        export = await server.metrics.report("/metrics", bytes)
    except WorkerError:  # a listener of its own: the model may serve all the same
        return WorkerProps()
    return reports.capacity(export, server.settings.model)


async def capabilities(server: Server) -> Capabilities:
    """Return what the model serves; raise `WorkerError`."""
    facts = await server.memory.learn()
    settings = server.settings
    return Capabilities(
        engine="triton",
        engine_version=facts.version or "unknown",
        model=facts.model,
        model_digest=settings.model_digest,
        ctx_max=settings.ctx_max,
        max_tokens_out=settings.ctx_max,
        concurrency=(await props(server)).slots_total,
        workloads=_workloads(server, facts),
        features=dialects.features(facts.inputs),
    )


def _workloads(server: Server, facts: EngineFacts) -> frozenset[Workload]:
    """Return what can be asked; raise `AdapterError` if that is nothing. The model may be one for vectors alone."""
    settings = server.settings
    offered = {Workload.EMBEDDING: settings.embedding, Workload.RERANK: settings.rerank}
    further = frozenset(workload for workload, model in offered.items() if model is not None)
    try:
        server.dialect(facts)
    except AdapterError:
        if not further:
            raise
        return further
    return further | {Workload.COMPLETION}


async def version(server: Server) -> str:
    """Return the versions of the server, the model and TensorRT-LLM; raise `WorkerError`."""
    facts = await server.memory.learn()
    if facts.version is None:
        raise AdapterError("server: it does not tell its version")
    return facts.version


def _detail(failure: WorkerError) -> str | None:
    """Return a phrase for what the server says with a status alone."""
    phase = failure.message.partition(":")[0]
    if failure.upstream_status == HTTPStatus.NOT_FOUND:
        return "no such model" if phase == "ready" else None
    if failure.upstream_status == HTTPStatus.BAD_REQUEST:
        return "model not ready" if phase == "ready" else "not live"
    return None
