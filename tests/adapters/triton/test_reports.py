"""What the server and its model say of themselves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import WorkerProps
from adapters.triton import reports
from http_util.engine import json_as

pytestmark = pytest.mark.req("OC-ADAPT-5060", "OC-ADAPT-5070", "ADAPT-3012")

METRICS = b"""\
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="ensemble",version="1"} 3
nv_inference_pending_request_count{model="other",version="1"} 9
"""
TRT_LLM = b"""\
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="max",version="1"} 8
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="active",version="1"} 5
nv_trt_llm_request_metrics{model="tensorrt_llm",request_type="waiting",version="1"} 2
"""


def test_a_server_without_backend_metrics_tells_what_waits() -> None:
    assert reports.capacity(METRICS, "ensemble") == WorkerProps(queue_depth=3)
    assert reports.capacity(METRICS, "nobody") == WorkerProps()


def test_tensorrt_llm_tells_its_slots() -> None:
    assert reports.capacity(METRICS + TRT_LLM, "ensemble") == WorkerProps(slots_total=8, slots_free=3, queue_depth=5)


@pytest.mark.parametrize(
    ("lines", "usage"),
    [
        (b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction"} 0.25\n', 0.25),
        (
            (
                b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"} 50\n'
                b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="used"} 20\n'
            ),
            0.4,
        ),
        (b'vllm:gpu_cache_usage_perc{model="m"} 0.5\n', 0.5),
        (b'vllm:kv_cache_usage_perc{model="m"} 0.75\n', 0.75),
        (b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"} 0\n', None),
        (b"", None),
    ],
)
def test_how_full_the_cache_is(lines: bytes, usage: float | None) -> None:
    assert reports.capacity(lines, "m").kv_cache_usage_ratio == usage


def test_the_vllm_backend_tells_what_waits_inside() -> None:
    assert reports.capacity(METRICS + b"vllm:num_requests_waiting 4\n", "ensemble").queue_depth == 7


@given(lines=st.binary(max_size=80))
def test_any_export_is_a_report(lines: bytes) -> None:
    props = reports.capacity(METRICS + TRT_LLM + lines, "ensemble")
    assert props.queue_depth is None or props.queue_depth >= 0


@pytest.mark.parametrize(
    ("server", "model_version", "trt_llm", "version"),
    [
        ("2.73.0", "3", None, "triton/2.73.0 m/3"),
        ("2.73.0", "3", "1.2.0", "triton/2.73.0 m/3 tensorrt_llm/1.2.0"),
        ("2.73.0", None, None, "triton/2.73.0 m/unknown"),
        ("", "3", "1.2.0", None),
    ],
)
def test_versions_are_told_together(
    server: str, model_version: str | None, trt_llm: str | None, version: str | None
) -> None:
    assert reports.version_of(reports.Server(version=server), "m", model_version, trt_llm) == version


def config(**parameters: str) -> reports.Config:
    given = {name: {"string_value": value} for name, value in parameters.items()}
    return json_as(reports.Config)(json.dumps({"parameters": given}).encode())


def test_the_configuration_may_tell_more() -> None:
    assert config(tensorrt_llm_version="1.2.0").trt_llm_version == "1.2.0"
    assert config(trtllm_version="0.9").trt_llm_version == "0.9"
    assert config(tensorrt_llm_version="${version}").trt_llm_version is None
    assert config().trt_llm_version is None
    assert config(accumulate_tokens="true").accumulates
    assert not config(accumulate_tokens="${accumulate_tokens}").accumulates


def test_the_newest_loaded_version_is_the_one_that_is_served() -> None:
    stats = [{"version": version, "inference_count": 2} for version in ("2", "10", "1")]
    found = json_as(reports.Statistics)(json.dumps({"model_stats": stats}).encode())
    assert (found.newest, found.inferences) == ("10", 6)
    assert reports.Statistics().newest is None


def test_metadata_with_less_in_it() -> None:
    found = json_as(reports.Metadata)(b'{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}]}')
    assert found.newest is None
    assert found.input_specs["x"].shape == (-1, 2)
