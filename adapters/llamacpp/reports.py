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

from adapter_api import WorkerHealth

if TYPE_CHECKING:
    from adapter_api import WorkerError

_METRIC = re.compile(rb"^llamacpp:(\w+)(?:\{[^}]*\})? +(\S+)", re.MULTILINE)


class _Health(msgspec.Struct):
    status: str


class _Defaults(msgspec.Struct, frozen=True):
    n_ctx: int = 0


class _Props(msgspec.Struct):
    build_info: str = ""
    model_path: str = ""
    model_alias: str = ""
    total_slots: int = 0
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


def ill_health(failure: WorkerError) -> WorkerHealth:
    """Return the report on a server whose `/health` failed: it answers and is not ready, or it does not answer."""
    status = failure.upstream_status
    is_live = status is not None and status not in {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
    words = failure.message.removeprefix("health: ")
    is_loading = status == HTTPStatus.SERVICE_UNAVAILABLE and "loading model" in words.lower()
    return WorkerHealth(live=is_live, ready=False, detail="loading model" if is_loading else words)


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
    """Read the body of `/metrics`, Prometheus text; figures that are not numbers are unknown."""
    found = {name: _figure(value) for name, value in _METRIC.findall(body)}
    processing, deferred = found.get(b"requests_processing"), found.get(b"requests_deferred")
    return Gauges(
        processing=None if processing is None else int(processing),
        deferred=None if deferred is None else int(deferred),
        kv_usage=_ratio(found.get(b"kv_cache_usage_ratio")),
    )


def _name(path_or_alias: str) -> str:
    """Return an alias as it is and a path without its folders, which are nobody's business."""
    return re.split(r"[/\\]", path_or_alias)[-1]


def _figure(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 2**63 else None


def _ratio(value: float | None) -> float | None:
    return value if value is not None and value <= 1 else None
