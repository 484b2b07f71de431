"""Every metric the service exports, as data: names, labels and buckets are a contract.

Implements: ORCH-3028, OC-METRICS-7101, OC-METRICS-7102.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The Prometheus types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric: its full name, its labels in order, and for a histogram its upper bounds."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_ENGINE = ("engine", "engine_version", "pool_id")
_REPLICA = (*_ENGINE, "replica_id")

METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("tasks_enqueued_total", Kind.COUNTER, "Tasks admitted.", (*_REPLICA, "priority")),
    MetricSpec("tasks_started_total", Kind.COUNTER, "Tasks that got a slot.", (*_REPLICA, "priority")),
    MetricSpec("tasks_canceled_total", Kind.COUNTER, "Tasks stopped before their end.", (*_REPLICA, "reason")),
    MetricSpec("tasks_rejected_total", Kind.COUNTER, "Tasks refused at admission.", ("engine", "reason")),
    MetricSpec("tokens_in_total", Kind.COUNTER, "Prompt tokens, as the engine counts them.", _REPLICA),
    MetricSpec("tokens_out_total", Kind.COUNTER, "Generated tokens, as the engine counts them.", _REPLICA),
    MetricSpec("admission_backpressure_events_total", Kind.COUNTER, "Times a full queue acted.", ("engine", "policy")),
    MetricSpec("placement_decisions_total", Kind.COUNTER, "Placement decisions.", ("outcome", "pinned", "fallback")),
    MetricSpec("sse_backpressure_drops_total", Kind.COUNTER, "Frames left out for slow clients.", ("frame",)),
    MetricSpec("metric_label_overflow_total", Kind.COUNTER, "Label values over budget, told as `other`.", ("label",)),
    MetricSpec("adapter_retries_total", Kind.COUNTER, "Tasks tried again on another replica.", ("engine", "pool_id")),
    MetricSpec(
        "adapter_breaker_transitions_total",
        Kind.COUNTER,
        "Changes of a replica's breaker, by the state it takes.",
        ("pool_id", "replica_id", "state"),
    ),
    MetricSpec("queue_depth", Kind.GAUGE, "Tasks that wait.", (*_ENGINE, "priority")),
    MetricSpec("kv_cache_usage_ratio", Kind.GAUGE, "KV cache in use, 0 to 1, where the engine tells.", _REPLICA),
    MetricSpec("placement_candidates_considered", Kind.GAUGE, "Pools that could take the last task placed."),
    MetricSpec("pool_ready", Kind.GAUGE, "1 if the pool takes work.", ("pool_id",)),
    MetricSpec("active_leases", Kind.GAUGE, "Slots held.", ("pool_id",)),
    MetricSpec(
        "latency_first_token_ms",
        Kind.HISTOGRAM,
        "From admission to the first token, in milliseconds.",
        (*_ENGINE, "priority"),
        (50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000),
    ),
    MetricSpec(
        "latency_decode_ms",
        Kind.HISTOGRAM,
        "From the first token to the end, in milliseconds.",
        (*_ENGINE, "priority"),
        (250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000),
    ),
)

LABEL_BUDGETS: dict[str, int] = {
    "engine": 8,
    "engine_version": 64,
    "pool_id": 256,
    "replica_id": 1024,
    "priority": 8,
    "reason": 16,
    "policy": 8,
    "frame": 8,
    "label": 16,
    "state": 8,
    "outcome": 4,
    "pinned": 2,
    "fallback": 2,
}
"""Label -> how many values it may take in one process."""
