"""The routes that tell of the service: capabilities, pool health, metrics, probes.

Implements: OC-CTRL-2001, OC-CTRL-2001a, OC-CTRL-2004, OC-CTRL-2051, OC-CTRL-2060, ORCH-3095, ORCH-3096.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response

from adapter_api import PoolId
from orchestratord.errors import Code, ErrorEnvelope, Refused
from orchestratord.telemetry import CONTENT_TYPE

from .replies import json_response

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from orchestratord.runtime.pool import Pool
    from orchestratord.runtime.replica import Replica

    from .services import Services

API_VERSION = "1.0.0"


def routes(services: Services) -> Blueprint:
    """Return the blueprint of everything that is not a task."""
    blueprint = Blueprint("control", __name__)
    dispatcher = services.dispatcher

    @blueprint.get("/v1/capabilities")
    def capabilities() -> Response:
        pools = [_capabilities(pool) for pool in dispatcher.pools.values()]
        return json_response({"api_version": API_VERSION, "engines": pools})

    @blueprint.get("/v1/pools/<pool_id>/health")
    def health(pool_id: str) -> Response:
        pool = dispatcher.pools.get(PoolId(pool_id))
        if pool is None:
            known = ", ".join(dispatcher.pools)
            raise Refused(ErrorEnvelope(code=Code.NOT_FOUND, message=f"no pool {pool_id!r}", hint=f"pools: {known}"))
        return json_response(_health(pool))

    @blueprint.get("/metrics")
    def metrics() -> Response:
        return Response(services.telemetry.exposition(dispatcher.pools.values()), content_type=CONTENT_TYPE)

    @blueprint.get("/livez")
    def live() -> Response:
        return json_response({"live": True})

    @blueprint.get("/readyz")
    def ready() -> Response:
        pools: dict[str, JsonValue] = {pool_id: pool.is_ready for pool_id, pool in dispatcher.pools.items()}
        is_ready = not dispatcher.draining and any(pools.values())
        body: dict[str, JsonValue] = {"ready": is_ready, "draining": dispatcher.draining, "pools": pools}
        return json_response(body, 200 if is_ready else 503)

    return blueprint


def _capabilities(pool: Pool) -> dict[str, JsonValue]:
    config = pool.config
    return {
        "engine": config.engine,
        "pool_id": pool.pool_id,
        "models": sorted(pool.served.model_refs),
        "engine_version": pool.served.engine_version,
        "ctx_max": pool.served.ctx_max,
        "max_tokens_out": pool.served.max_tokens_out,
        "supported_workloads": sorted(pool.served.workloads),
        "concurrency": pool.slots,
        "sampler_profile_version": config.default_profile,
        "sampler_profiles": sorted(config.sampler_profiles),
        "rate_limits": {"queue_capacity": config.queue.capacity, "queue_policy": config.queue.policy},
        "features": sorted(pool.served.features),
    }


def _health(pool: Pool) -> dict[str, JsonValue]:
    return {
        "live": pool.is_live,
        "ready": pool.is_ready,
        "draining": pool.draining,
        "metrics": {
            "slots_total": pool.slots,
            "slots_free": pool.free,
            "queue_depth": len(pool.queue),
            "active_leases": pool.active_leases,
        },
        "last_error": pool.last_error,
        "replicas": [_replica(replica) for replica in pool.replicas.values()],
    }


def _replica(replica: Replica) -> dict[str, JsonValue]:
    known = replica.capabilities
    return {
        "replica_id": replica.replica_id,
        "live": replica.health.live,
        "ready": replica.health.ready,
        "detail": replica.health.detail,
        "takes_tasks": replica.takes,
        "breaker": replica.breaker.state.value,
        "why": replica.why,
        "slots_total": replica.props.slots_total,
        "slots_free": replica.props.slots_free,
        "leases": len(replica.busy),
        "kv_cache_usage_ratio": replica.props.kv_cache_usage_ratio,
        "engine_version": known.engine_version if known else None,
        "model_digest": known.model_digest if known else None,
    }
