"""Prometheus metrics with a budget on every label.

The metrics are made from the table, so a name or label that is not there cannot be used. A label value beyond its
budget is told as `other` and counted.

Implements: ORCH-3028, OC-CTRL-2051, OC-METRICS-7102.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from .table import LABEL_BUDGETS, METRICS, Kind, MetricSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OVERFLOW = "other"
_OVERFLOWS = "metric_label_overflow_total"

disable_created_metrics()  # type: ignore[no-untyped-call]  # the `_created` series are not part of the contract


@final
class Metrics:
    """All metrics of one service; each instance has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._metrics = {spec.name: self._make(spec) for spec in METRICS}
        self._labels = {spec.name: spec.labels for spec in METRICS}
        self._seen: dict[str, set[str]] = {label: set() for label in LABEL_BUDGETS}

    def reserve(self, label: str, value: str) -> None:
        """Keep a place in the label's budget for a value that is known beforehand."""
        self._within_budget(label, value)

    def count(self, name: str, labels: Mapping[str, str], amount: float = 1) -> None:
        """Add to a counter."""
        metric = self._child(name, labels)
        assert isinstance(metric, Counter)
        metric.inc(amount)

    def gauge(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Set a gauge."""
        metric = self._child(name, labels)
        assert isinstance(metric, Gauge)
        metric.set(value)

    def clear_gauges(self) -> None:
        """Forget every gauge that has labels: what is not set again cannot be read any more."""
        for spec in METRICS:
            metric = self._metrics[spec.name]
            if spec.kind is Kind.GAUGE and spec.labels:
                metric.clear()

    def observe(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Take a histogram's sample."""
        metric = self._child(name, labels)
        assert isinstance(metric, Histogram)
        metric.observe(value)

    def text(self) -> bytes:
        """Return the exposition in Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def _make(self, spec: MetricSpec) -> Counter | Gauge | Histogram:
        match spec.kind:
            case Kind.COUNTER:  # the client library appends `_total` itself
                return Counter(spec.name.removesuffix("_total"), spec.help, spec.labels, registry=self._registry)
            case Kind.GAUGE:
                return Gauge(spec.name, spec.help, spec.labels, registry=self._registry)
            case Kind.HISTOGRAM:
                return Histogram(spec.name, spec.help, spec.labels, registry=self._registry, buckets=spec.buckets)

    def _child(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        metric = self._metrics[name]
        names = self._labels[name]
        return metric.labels(*(self._within_budget(label, labels[label]) for label in names)) if names else metric

    def _within_budget(self, label: str, value: str) -> str:
        seen = self._seen[label]
        if value in seen:
            return value
        if len(seen) < LABEL_BUDGETS[label]:
            seen.add(value)
            return value
        self.count(_OVERFLOWS, {"label": label})
        return OVERFLOW
