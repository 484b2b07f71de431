"""What an adapter says about its engine: health, props, capabilities and how it can be cancelled.

Unknown is said as None, never guessed.

Implements: ADAPT-3000, ADAPT-3012.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ._requests import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """Whether the engine answers (`live`) and whether a submit can be accepted (`ready`).

    `detail` is one short redacted phrase for people: "loading model", "connection refused".
    """

    live: bool
    ready: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProps:
    """Capacity at this moment: slots, requests that wait inside the engine, and KV cache use from 0 to 1."""

    slots_total: int | None = None
    slots_free: int | None = None
    queue_depth: int | None = None
    kv_cache_usage_ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """A snapshot of what the engine serves; it changes only when the engine restarts or is rebound."""

    engine: str
    engine_version: str
    model: str
    model_digest: str | None = None
    ctx_max: int | None = None
    max_tokens_out: int | None = None
    concurrency: int | None = None
    workloads: frozenset[Workload] = frozenset({Workload.COMPLETION})
    features: frozenset[str] = field(default=frozenset())


class CancelMode(StrEnum):
    """How the engine is made to stop a request."""

    ABORT = "abort"
    """It has a cancel call of its own, and the adapter makes it."""
    CLOSE = "close"
    """It stops when its connection is closed."""
    DRAIN = "drain"
    """It cannot stop: the adapter closes its side and the engine finishes unheard."""
    UNSUPPORTED = "unsupported"
    """Nothing reaches the engine; `CancelSupport.reason` says why."""


@dataclass(frozen=True, slots=True)
class CancelSupport:
    """The cancel mode, and for `UNSUPPORTED` the reason."""

    mode: CancelMode
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.mode is CancelMode.UNSUPPORTED) != bool(self.reason):
            raise ValueError("a reason belongs to CancelMode.UNSUPPORTED, and only to it")
