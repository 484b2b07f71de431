"""Which pool takes a task: a pure function from the request and a view of every pool to a decision and its reasons.

Filters come before scores. The refusal names the filter that emptied the field, so its message says what to change.
A pin is obeyed or refused, never bent.

Implements: ORCH-3900, OC-CORE-1010, OC-CORE-1012, OC-CORE-1013, OC-CTRL-2013, OC-CTRL-2014, AH-1007.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from adapter_api import PoolId, Workload
from orchestratord.errors import Code

_HEALTH_HINT = "see /v1/pools/{id}/health"


class PlacementMode(StrEnum):
    """How firmly the caller names a pool."""

    PIN = "pin"
    PREFER = "prefer"
    AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What the caller says about where its task may run."""

    mode: PlacementMode = PlacementMode.AUTO
    pin_pool_id: PoolId | None = None
    prefer_pools: tuple[PoolId, ...] = ()
    avoid_pools: tuple[PoolId, ...] = ()
    allow_fallback: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """One pool at the moment of the decision. None means that the engine does not tell."""

    pool_id: PoolId
    engine: str
    model_refs: frozenset[str]
    workloads: frozenset[Workload]
    ready: bool
    draining: bool
    ctx_max: int | None
    max_tokens_out: int | None
    predicted_start_ms: int
    shut_for_ms: int | None = None
    """How long every replica is left alone after failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the task needs of a pool."""

    engine: str
    model_ref: str
    workload: Workload
    ctx: int
    max_tokens: int
    placement: Placement = Placement()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The pool that takes the task, and why."""

    pool_id: PoolId
    candidates_considered: int
    filters_applied: tuple[str, ...]
    tie_breakers_applied: tuple[str, ...]
    pinned: bool
    fallback_used: bool


@dataclass(frozen=True, slots=True)
class NoPlace:
    """No pool takes the task."""

    code: Code
    message: str
    hint: str
    pool_id: PoolId | None = None
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Filter:
    name: str
    keeps: Callable[[PoolView], bool]
    refusal: NoPlace


def decide(wanted: Wanted, pools: Sequence[PoolView]) -> Decision | NoPlace:
    """Choose a pool for the task, or say why there is none."""
    placement = wanted.placement
    candidates = list(pools)
    pin = placement.pin_pool_id if placement.mode is PlacementMode.PIN else None
    if pin is not None:
        candidates = [pool for pool in pools if pool.pool_id == pin]
        if not candidates:
            return NoPlace(Code.INVALID_PARAMS, f"placement.pin_pool_id: no pool {pin!r}", _known_pools(pools))
    applied = []
    for step in _filters(wanted, pools, pin):
        kept = [pool for pool in candidates if step.keeps(pool)]
        if len(kept) < len(candidates):
            applied.append(step.name)
        if not kept:
            return step.refusal
        candidates = kept
    return _choose(placement, candidates, tuple(applied), pinned=pin is not None)


def _choose(
    placement: Placement, candidates: list[PoolView], applied: tuple[str, ...], *, pinned: bool
) -> Decision | NoPlace:
    preferred = candidates
    if placement.mode is PlacementMode.PREFER and placement.prefer_pools:
        preferred = [pool for pool in candidates if pool.pool_id in placement.prefer_pools]
        if not preferred and not placement.allow_fallback:
            named = ", ".join(placement.prefer_pools)
            return NoPlace(Code.POOL_UNREADY, f"no preferred pool can take the task: {named}", "allow a fallback")
    fallback_used = not preferred
    best = min(preferred or candidates, key=lambda pool: (pool.predicted_start_ms, pool.pool_id))
    tied = [pool for pool in preferred or candidates if pool.predicted_start_ms == best.predicted_start_ms]
    return Decision(
        pool_id=best.pool_id,
        candidates_considered=len(candidates),
        filters_applied=applied,
        tie_breakers_applied=("pool_id",) if len(tied) > 1 else (),
        pinned=pinned,
        fallback_used=fallback_used,
    )


def _filters(wanted: Wanted, pools: Sequence[PoolView], pin: PoolId | None) -> list[_Filter]:
    """Return the filters in their order: who could ever serve this, then who can serve it now."""
    return [
        *_which(wanted, pools, pin),
        *_whether_it_fits(wanted, pools, pin),
        *_whether_it_can_now(wanted, pools, pin),
    ]


def _which(wanted: Wanted, pools: Sequence[PoolView], pin: PoolId | None) -> list[_Filter]:
    """Engine and model, which the caller names, and the pools that it does not want."""
    lost = Code.INVALID_PARAMS if pin is not None else Code.POOL_UNAVAILABLE
    avoided = frozenset(wanted.placement.avoid_pools) if pin is None else frozenset()
    model = f"model_ref: no {wanted.engine} pool answers to {wanted.model_ref!r}"
    return [
        _Filter(
            "engine",
            lambda pool: pool.engine == wanted.engine,
            NoPlace(lost, f"engine: no pool runs {wanted.engine!r}", _known_pools(pools), pin),
        ),
        _Filter(
            "model",
            lambda pool: wanted.model_ref in pool.model_refs,
            NoPlace(lost, model, _known_models(pools), pin),
        ),
        _Filter(
            "avoid",
            lambda pool: pool.pool_id not in avoided,
            NoPlace(Code.POOL_UNAVAILABLE, "placement.avoid_pools leaves no pool", "avoid fewer pools"),
        ),
    ]


def _whether_it_fits(wanted: Wanted, pools: Sequence[PoolView], pin: PoolId | None) -> list[_Filter]:
    """Workload, context and length, which no waiting changes."""
    widest = max((pool.ctx_max or 0 for pool in pools if pool.engine == wanted.engine), default=0)
    bad = partial(NoPlace, Code.INVALID_PARAMS, pool_id=pin)
    return [
        _Filter(
            "workload",
            lambda pool: wanted.workload in pool.workloads,
            bad(f"workload: no such pool serves {wanted.workload!r}", "see /v1/capabilities"),
        ),
        _Filter(
            "ctx",
            lambda pool: pool.ctx_max is None or wanted.ctx <= pool.ctx_max,
            bad(f"ctx: {wanted.ctx} is over the {widest} tokens of the pool", "lower ctx"),
        ),
        _Filter(
            "max_tokens",
            lambda pool: pool.max_tokens_out is None or wanted.max_tokens <= pool.max_tokens_out,
            bad(f"max_tokens: {wanted.max_tokens} is over the pool's limit", "lower it"),
        ),
    ]


def _whether_it_can_now(wanted: Wanted, pools: Sequence[PoolView], pin: PoolId | None) -> list[_Filter]:
    """Drain, breakers and readiness, which waiting may change."""
    meant = [pool for pool in pools if pool.engine == wanted.engine and wanted.model_ref in pool.model_refs]
    shut = [pool.shut_for_ms for pool in meant if pool.shut_for_ms is not None and pin in {None, pool.pool_id}]
    left_alone = "every replica that could serve is left alone after failures"
    return [
        _Filter(
            "draining",
            lambda pool: not pool.draining,
            NoPlace(Code.POOL_UNREADY, "the pool drains and takes no new work", "try again later", pin),
        ),
        _Filter(
            "breaker",
            lambda pool: pool.shut_for_ms is None,
            NoPlace(Code.POOL_UNAVAILABLE, left_alone, _HEALTH_HINT, pin, min(shut, default=None)),
        ),
        _Filter(
            "ready",
            lambda pool: pool.ready,
            NoPlace(Code.POOL_UNREADY, "the pool is not ready", _HEALTH_HINT, pin),
        ),
    ]


def _known_pools(pools: Sequence[PoolView]) -> str:
    return "pools: " + (", ".join(f"{pool.pool_id} ({pool.engine})" for pool in pools) or "none")


def _known_models(pools: Sequence[PoolView]) -> str:
    return "models: " + (", ".join(sorted(set().union(*(pool.model_refs for pool in pools)))) or "none")
