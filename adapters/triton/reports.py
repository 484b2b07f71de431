"""What a Triton server and its model say of themselves.

Pure. Any field may be missing; what is missing is unknown. The server tells its own version and the model's; that of
TensorRT-LLM stands in the model's configuration only where somebody wrote it there.

Implements: ADAPT-3012, OC-ADAPT-5060, OC-ADAPT-5070.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from adapter_api import WorkerProps
from http_util.prometheus import Sample, count, ratio, samples, total

from .tensors import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRT_LLM_VERSION = ("tensorrt_llm_version", "trtllm_version")
_REQUESTS = "nv_trt_llm_request_metrics"
_KV_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"
_VLLM_KV = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")


class Server(msgspec.Struct):
    """The body of `GET /v2`."""

    version: str = ""


class _TensorInfo(msgspec.Struct):
    name: str
    datatype: str = "BYTES"
    shape: list[int] = []


class Metadata(msgspec.Struct):
    """The body of `GET /v2/models/M`."""

    name: str
    inputs: list[_TensorInfo]
    versions: list[str] = []
    outputs: list[_TensorInfo] = []

    @property
    def newest(self) -> str | None:
        """The highest version that the model has."""
        return max((version for version in self.versions if version.isdecimal()), key=int, default=None)

    @property
    def input_specs(self) -> dict[str, TensorSpec]:
        """The inputs by name."""
        return {given.name: TensorSpec(given.name, given.datatype, tuple(given.shape)) for given in self.inputs}


class _Parameter(msgspec.Struct):
    string_value: str = ""


class _Transactions(msgspec.Struct, frozen=True):
    decoupled: bool = False


class Config(msgspec.Struct):
    """The body of `GET /v2/models/M/config`."""

    parameters: dict[str, _Parameter] = {}
    model_transaction_policy: _Transactions = _Transactions()

    def parameter(self, *names: str) -> str | None:
        """Return the first of these parameters that has a value; `${...}` is a template that nobody filled."""
        values = (self.parameters[name].string_value for name in names if name in self.parameters)
        return next((value for value in values if value and not value.startswith("${")), None)

    @property
    def trt_llm_version(self) -> str | None:
        """The version of TensorRT-LLM, if somebody wrote it there."""
        return self.parameter(*_TRT_LLM_VERSION)

    @property
    def accumulates(self) -> bool:
        """Whether a BLS model decodes all tokens anew for each response."""
        return (self.parameter("accumulate_tokens") or "").lower() in {"1", "true"}


class _ModelStatistics(msgspec.Struct):
    version: str = ""
    inference_count: int = 0


class Statistics(msgspec.Struct):
    """The body of `GET /v2/models/M/stats`: one entry for each version that is loaded."""

    model_stats: list[_ModelStatistics] = []

    @property
    def inferences(self) -> int:
        """How often the model has run since the server began."""
        return sum(entry.inference_count for entry in self.model_stats)

    @property
    def newest(self) -> str | None:
        """The version that the server chooses for who names none: the highest that is loaded."""
        versions = [entry.version for entry in self.model_stats if entry.version.isdecimal()]
        return max(versions, key=int, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What stays the same while one server process lives; `inputs` are the model's, by name."""

    version: str | None
    model: str
    inputs: Mapping[str, TensorSpec] = field(repr=False)
    is_decoupled: bool
    accumulates: bool


def version_of(server: Server, model: str, model_version: str | None, trt_llm: str | None) -> str | None:
    """Return the versions as `name/version` words; None if the server does not tell its own."""
    if not server.version:
        return None
    words = [f"triton/{server.version}", f"{model}/{model_version or 'unknown'}"]
    return " ".join([*words, f"tensorrt_llm/{trt_llm}"] if trt_llm else words)


def capacity(metrics: bytes, model: str) -> WorkerProps:
    """Read the export of metrics; what no backend exports is unknown."""
    found = samples(metrics)
    most = count(found, _REQUESTS, request_type="max")
    active = count(found, _REQUESTS, request_type="active")
    inside = count(found, _REQUESTS, request_type="waiting")
    if inside is None:
        inside = count(found, "vllm:num_requests_waiting")
    before = count(found, "nv_inference_pending_request_count", model=model)
    waiting = [n for n in (before, inside) if n is not None]
    return WorkerProps(
        slots_total=most,
        slots_free=None if most is None or active is None else max(most - active, 0),
        queue_depth=sum(waiting) if waiting else None,
        kv_cache_usage_ratio=_kv_usage(found),
    )


def _kv_usage(found: list[Sample]) -> float | None:
    fraction = ratio(found, _KV_BLOCKS, kv_cache_block_type="fraction")
    if fraction is not None:
        return fraction
    used, most = (total(found, _KV_BLOCKS, kv_cache_block_type=kind) for kind in ("used", "max"))
    if used is not None and most:
        return min(max(used / most, 0.0), 1.0)
    return ratio(found, *_VLLM_KV)
