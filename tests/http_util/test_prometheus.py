"""Reading exported metrics: what is well written is read exactly, and nothing else stops a report."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util import prometheus
from http_util.prometheus import Sample

EXPORT = b"""\
# HELP vllm:num_requests_waiting Number of requests waiting.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="m",engine="0"} 2.0
vllm:num_requests_waiting{model_name="m",engine="1"} 3
vllm:kv_cache_usage_perc{engine="0"} 0.25 1395066363000
plain_total 7\r
not a metric line
broken{ 1
nan_value NaN
inf_value +Inf
escaped{path="a\\\\b\\"c\\nd"} 1
"""


def test_samples_are_read_with_their_labels() -> None:
    found = prometheus.samples(EXPORT)
    assert found[0] == Sample("vllm:num_requests_waiting", {"model_name": "m", "engine": "0"}, 2.0)
    assert [sample.name for sample in found[2:]] == ["vllm:kv_cache_usage_perc", "plain_total", "escaped"]
    assert found[-1].labels == {"path": 'a\\b"c\nd'}


def test_series_are_added_up_and_labels_choose_among_them() -> None:
    found = prometheus.samples(EXPORT)
    assert prometheus.total(found, "vllm:num_requests_waiting") == 5
    assert prometheus.count(found, "vllm:num_requests_waiting", engine="1") == 3
    assert prometheus.total(found, "gone", "plain_total") == 7
    assert prometheus.total(found, "gone") is None


@pytest.mark.parametrize(
    ("value", "count", "ratio"), [("0.5", 0, 0.5), ("-1", None, None), ("2", 2, None), ("1", 1, 1)]
)
def test_counts_and_ratios_outside_their_range_are_unknown(value: str, count: int | None, ratio: float | None) -> None:
    found = prometheus.samples(f"x {value}".encode())
    assert prometheus.count(found, "x") == count
    assert prometheus.ratio(found, "x") == ratio


NAMES = st.from_regex(r"[A-Za-z_:][A-Za-z0-9_:]{0,8}", fullmatch=True)


@given(name=NAMES, labels=st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.text()), value=st.floats())
def test_what_is_written_by_the_rules_is_read_back(name: str, labels: dict[str, str], value: float) -> None:
    escaped = {key: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for key, text in labels.items()}
    written = ",".join(f'{key}="{text}"' for key, text in escaped.items())
    body = f"{name}{{{written}}} {value!r}\n".encode("utf-8", "replace")
    expected = {key: text.encode("utf-8", "replace").decode() for key, text in labels.items()}
    found = prometheus.samples(body)
    assert found == ([Sample(name, expected, value)] if math.isfinite(value) else [])


@given(body=st.binary(max_size=300))
def test_any_bytes_are_an_export(body: bytes) -> None:
    assert all(math.isfinite(sample.value) for sample in prometheus.samples(body))
