"""Metrics: the table is the contract, and no label can grow beyond its budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import specs
from orchestratord.telemetry import CONTENT_TYPE, LABEL_BUDGETS, METRICS, Kind, Metrics

REASONS = LABEL_BUDGETS["reason"]
NAMES = [spec.name for spec in METRICS]


def series(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample of the exposition: (name, labels) -> value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


@pytest.mark.req("OC-METRICS-7101", "ORCH-3028")
def test_the_table_is_the_one_of_the_specification() -> None:
    documented = specs.load().metrics
    assert [*documented] == NAMES
    for spec in METRICS:
        row = documented[spec.name]
        assert (spec.kind.value, spec.help, spec.labels) == (row.type, row.help, tuple(row.labels))
        assert list(spec.buckets) == list(row.buckets)


@pytest.mark.req("OC-METRICS-7102")
def test_the_budgets_are_those_of_the_specification() -> None:
    assert dict(specs.load().label_budgets) == LABEL_BUDGETS
    assert {label for spec in METRICS for label in spec.labels} == set(LABEL_BUDGETS)


@pytest.mark.req("OC-METRICS-7102a")
def test_no_label_is_an_id_of_a_task_or_a_session() -> None:
    assert not set(LABEL_BUDGETS) & {"task_id", "job_id", "session_id", "correlation_id", "identity", "model_ref"}


@pytest.mark.req("OC-METRICS-7101")
@pytest.mark.parametrize("spec", METRICS, ids=NAMES)
def test_each_metric_is_exported_under_its_name_type_and_labels(spec: object) -> None:
    metrics = Metrics()
    (wanted,) = [each for each in METRICS if each is spec]
    labels = dict.fromkeys(wanted.labels, "x")
    match wanted.kind:
        case Kind.COUNTER:
            metrics.count(wanted.name, labels, 2)
        case Kind.GAUGE:
            metrics.gauge(wanted.name, labels, 2)
        case Kind.HISTOGRAM:
            metrics.observe(wanted.name, labels, 2)
    text = metrics.text().decode()
    assert f"# TYPE {wanted.name} {wanted.kind.value}" in text
    assert f"# HELP {wanted.name} {wanted.help}" in text
    suffix = "_sum" if wanted.kind is Kind.HISTOGRAM else ""
    assert series(metrics)[wanted.name + suffix, tuple(sorted(labels.items()))] == 2
    if wanted.kind is Kind.HISTOGRAM:
        bounds = [dict(key[1])["le"] for key in series(metrics) if key[0] == wanted.name + "_bucket"]
        assert [float(bound) for bound in bounds] == [*wanted.buckets, float("inf")]


def test_the_exposition_is_the_text_format_and_nothing_beside_the_table() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    families = {family.name for family in text_string_to_metric_families(Metrics().text().decode())}
    assert {name.removesuffix("_total") for name in NAMES} == families


@pytest.mark.req("OC-METRICS-7101")
def test_a_name_or_label_that_is_not_in_the_table_cannot_be_used() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.count("tasks_total", {})
    with pytest.raises(KeyError):
        metrics.count("tasks_rejected_total", {"engine": "x"})


@pytest.mark.req("OC-METRICS-7102")
@given(values=st.lists(st.text(min_size=1, max_size=8), max_size=60))
def test_a_label_stays_within_its_budget_and_loses_no_count(values: list[str]) -> None:
    metrics = Metrics()
    for value in values:
        metrics.count("tasks_rejected_total", {"engine": "e", "reason": value})
    told = {labels: count for (name, labels), count in series(metrics).items() if name == "tasks_rejected_total"}
    assert len(told) <= REASONS + 1
    assert sum(told.values()) == len(values)
    kept = list(dict.fromkeys(values))[:REASONS]
    assert {dict(labels)["reason"] for labels in told} - {"other"} <= set(kept)
    overflows = [count for (name, _), count in series(metrics).items() if name == "metric_label_overflow_total"]
    assert sum(overflows) == sum(value not in kept for value in values)


@pytest.mark.req("OC-METRICS-7102")
def test_a_budget_counts_over_all_metrics_together() -> None:
    metrics = Metrics()
    for number in range(LABEL_BUDGETS["engine"]):
        metrics.count("tasks_rejected_total", {"engine": f"e{number}", "reason": "r"})
    metrics.count("admission_backpressure_events_total", {"engine": "late", "policy": "reject"})
    assert ("admission_backpressure_events_total", (("engine", "other"), ("policy", "reject"))) in series(metrics)


def test_a_place_that_is_reserved_is_kept() -> None:
    metrics = Metrics()
    metrics.reserve("engine", "mine")
    for number in range(100):
        metrics.count("tasks_rejected_total", {"engine": f"e{number}", "reason": "r"})
    metrics.count("tasks_rejected_total", {"engine": "mine", "reason": "r"})
    assert series(metrics)["tasks_rejected_total", (("engine", "mine"), ("reason", "r"))] == 1


def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count("sse_backpressure_drops_total", {"frame": "metrics"})
    assert ("sse_backpressure_drops_total", (("frame", "metrics"),)) not in series(other)
