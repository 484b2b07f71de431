"""The bodies of the HTTP answers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from . import tensors
from .models import PERMANENT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter_api import JsonValue

    from .models import Model, TensorSpec
    from .requests import InferRequest
    from .tensors import Tensor

JSON = "application/json"
PLAIN = "text/plain"
EVENTS = "text/event-stream; charset=utf-8"
EXTENSIONS = (
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    "system_shared_memory",
    "cuda_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
    "generate",
)
_DATA_TYPES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


_OUTPUT: Mapping[str, JsonValue] = {"label_filename": "", "is_shape_tensor": False, "is_non_linear_format_io": False}
_INPUT: Mapping[str, JsonValue] = {
    "format": "FORMAT_NONE",
    "is_shape_tensor": False,
    "allow_ragged_batch": False,
    "is_non_linear_format_io": False,
}
_OPTIMIZATION: Mapping[str, JsonValue] = {
    "priority": "PRIORITY_DEFAULT",
    "input_pinned_memory": {"enable": True},
    "output_pinned_memory": {"enable": True},
    "gather_kernel_buffer_threshold": 0,
    "eager_batching": False,
}
_INSTANCE: Mapping[str, JsonValue] = {
    "kind": "KIND_CPU",
    "count": 1,
    "gpus": [],
    "secondary_devices": [],
    "profile": [],
    "passive": False,
    "host_policy": "",
}


def dump(value: object) -> bytes:
    """Return `value` as the server writes JSON."""
    return msgspec.json.encode(value)


def error(message: str) -> bytes:
    """Return an error body."""
    return dump({"error": message})


def event(value: object) -> bytes:
    """Return one event of a stream."""
    return b"data: " + responded(value) + b"\n\n"


def responded(value: object) -> bytes:
    """Return one response of the generate extension, which has its keys in order."""
    return msgspec.json.encode(value, order="sorted")


def server(version: str) -> dict[str, JsonValue]:
    """Return the metadata of the server."""
    return {"name": "triton", "version": version, "extensions": list(EXTENSIONS)}


def metadata(model: Model) -> dict[str, JsonValue]:
    """Return the metadata of a model."""
    return {
        "name": model.name,
        "versions": [PERMANENT_VERSION],
        "platform": model.platform or model.backend,
        "inputs": _tensors(model, model.inputs),
        "outputs": _tensors(model, model.outputs),
    }


def config(model: Model) -> dict[str, JsonValue]:
    """Return the configuration of a model."""
    return {
        "name": model.name,
        "platform": model.platform,
        "backend": model.backend,
        "runtime": "",
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": model.max_batch,
        "input": [{**_config(spec), **_INPUT, "optional": spec.optional} for spec in model.inputs],
        "output": [{**_config(spec), **_OUTPUT} for spec in model.outputs],
        "batch_input": [],
        "batch_output": [],
        "optimization": _OPTIMIZATION,
        "instance_group": [{"name": f"{model.name}_0", **_INSTANCE}],
        "default_model_filename": "model.py",
        "cc_model_filenames": {},
        "metric_tags": {},
        "parameters": {name: {"string_value": value} for name, value in model.parameters},
        "model_warmup": [],
        "model_transaction_policy": {"decoupled": model.is_decoupled},
    }


def data_type(name: str) -> int:
    """Return the number of `TYPE_…` in the configuration."""
    return 13 if name == "BYTES" else 1 + _DATA_TYPES.index(name)


def index(models: Iterable[Model], *, is_ready: bool) -> list[JsonValue]:
    """Return the index of the repository."""
    state = "READY" if is_ready else "LOADING"
    return [{"name": model.name, "version": PERMANENT_VERSION, "state": state} for model in models]


def generated(request: InferRequest, outputs: Iterable[Tensor]) -> dict[str, JsonValue]:
    """Return one response of the generate extension: one-element tensors as scalars."""
    found: dict[str, JsonValue] = {"model_name": request.model.name, "model_version": PERMANENT_VERSION}
    if request.id:
        found["id"] = request.id
    if request.model.platform == "ensemble":
        found |= {"sequence_id": 0, "sequence_start": False, "sequence_end": False}
    for tensor in outputs:
        values = tensors.to_json(tensor)
        found[tensor.name] = values[0] if len(values) == 1 else values
    return found


def inferred(request: InferRequest, outputs: Iterable[Tensor]) -> tuple[bytes, int | None]:
    """Return the body of an `infer` answer and the size of its JSON; None if nothing follows the JSON."""
    entries: list[JsonValue] = []
    identifier = {"id": request.id} if request.id else {}
    tail = b""
    for tensor in outputs:
        is_binary = request.outputs.get(tensor.name, request.is_binary)
        raw = tensors.to_raw(tensor) if is_binary else b""
        tail += raw
        entries.append(_entry(tensor, len(raw) if is_binary else None))
    head = dump({**identifier, "model_name": request.model.name, "model_version": "1", "outputs": entries})
    return head + tail, len(head) if tail else None


def _entry(tensor: Tensor, size: int | None) -> Mapping[str, JsonValue]:
    entry: dict[str, JsonValue] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    return entry | ({"data": tensors.to_json(tensor)} if size is None else {"parameters": {"binary_data_size": size}})


def _tensors(model: Model, specs: tuple[TensorSpec, ...]) -> list[JsonValue]:
    return [{"name": spec.name, "datatype": spec.datatype, "shape": list(model.shape(spec))} for spec in specs]


def _config(spec: TensorSpec) -> dict[str, JsonValue]:
    kind = "TYPE_STRING" if spec.datatype == "BYTES" else f"TYPE_{spec.datatype}"
    return {"name": spec.name, "data_type": kind, "dims": list(spec.dims)}
