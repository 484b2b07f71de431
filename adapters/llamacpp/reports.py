"""What the server says of itself: `/health`, `/props`, `/slots` and `/metrics`, read into the contract's values.

Pure. Whatever is missing stays unknown: fields come and go between builds, and a server that routes to several models
has no capacity of its own to tell.

Implements: ADAPT-3012, OC-ADAPT-5001, OC-ADAPT-5011.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from http_util import prometheus
from http_util.figures import Count

if TYPE_CHECKING:
    from adapter_api import WorkerError


class _Health(msgspec.Struct):
    status: str


class _Defaults(msgspec.Struct, frozen=True):
    n_ctx: Count = 0


class _Props(msgspec.Struct):
    build_info: str = ""
    model_path: str = ""
    model_alias: str = ""
    total_slots: Count = 0
    default_generation_settings: _Defaults = _Defaults()
    endpoint_slots: bool = True
    endpoint_metrics: bool = True
    role: str = ""


class _Slot(msgspec.Struct):
    is_processing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What stays the same while one server process lives; None is unknown.

    `alias` is what frames call the model, `model` the same without a path; `ctx_per_slot` is in tokens.
    """

    version: str | None
    alias: str = field(repr=False)
    model: str
    model_path: str | None = field(repr=False)
    ctx_per_slot: int | None
    slots: int | None
    has_slots: bool
    has_metrics: bool


def is_ok(body: bytes) -> bool:
    """Whether the body of `/health` says that the server can work."""
    return msgspec.json.decode(body, type=_Health).status == "ok"


def is_loading(failure: WorkerError) -> bool:
    """Whether a failed report says that the model is on its way."""
    return failure.upstream_status == HTTPStatus.SERVICE_UNAVAILABLE and "loading model" in failure.message.lower()


def engine_facts(props: bytes) -> EngineFacts:
    """Read the body of `/props`; raise `msgspec.MsgspecError` if it is none."""
    given = msgspec.json.decode(props, type=_Props)
    is_router = given.role == "router"
    return EngineFacts(
        version=given.build_info or None,
        alias=given.model_alias or given.model_path,
        model=_name(given.model_alias) or _name(given.model_path) or "unknown",
        model_path=None if is_router else given.model_path or None,
        ctx_per_slot=given.default_generation_settings.n_ctx or None,
        slots=None if is_router else given.total_slots or None,
        has_slots=given.endpoint_slots and not is_router,
        has_metrics=given.endpoint_metrics and not is_router,
    )


def slots(body: bytes) -> tuple[int, int]:
    """Return how many slots there are and how many are free, from the body of `/slots`."""
    found = msgspec.json.decode(body, type=list[_Slot])
    return len(found), sum(not slot.is_processing for slot in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """The gauges of `/metrics` that we know; `kv_usage` is exported by older builds only."""

    processing: int | None = None
    deferred: int | None = None
    kv_usage: float | None = None


def gauges(body: bytes) -> Gauges:
    """Read the body of `/metrics`, Prometheus text; figures that make no sense are unknown."""
    found = prometheus.samples(body)
    return Gauges(
        processing=prometheus.count(found, "llamacpp:requests_processing"),
        deferred=prometheus.count(found, "llamacpp:requests_deferred"),
        kv_usage=prometheus.ratio(found, "llamacpp:kv_cache_usage_ratio"),
    )


def _name(path_or_alias: str) -> str:
    """Return an alias as it is and a path without its folders, which are nobody's business."""
    return re.split(r"[/\\]", path_or_alias)[-1]
