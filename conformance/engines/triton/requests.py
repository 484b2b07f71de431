"""What clients ask for, read from three encodings: generate JSON, KServe JSON with binary tails, gRPC messages.

Pure. In the generate extension a key that is an input of the model becomes a tensor; every other scalar becomes a
request parameter without a word, also a misspelled one. Errors are in the server's words where they are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, cast

import msgspec

from . import tensors
from .failures import Code, Refused
from .tensors import Scalar, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from adapter_api import JsonValue

    from .models import Model, TensorSpec
    from .protobuf import Fields, Value

    Parameter = str | int | float | bool

RESERVED = "triton_"
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One inference; `outputs` are those that were named (none: all), with whether HTTP sends them as bytes."""

    model: Model
    id: str = ""
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    outputs: Mapping[str, bool] = field(default_factory=dict)
    is_binary: bool = False

    @property
    def label(self) -> str:
        """The prefix of the server's error texts."""
        return f"[request id: {self.id or '<id_unknown>'}] "

    def value(self, name: str) -> Scalar | None:
        """Return the first value of an input; None if it is absent."""
        return self.inputs[name].first if name in self.inputs else None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean input."""
        value = self.value(name)
        return default if value is None else bool(value)

    def plain(self) -> dict[str, JsonValue]:
        """Return id, inputs and parameters as JSON has them, a tensor of one value as that value."""
        plain = {name: tensors.to_json(tensor) for name, tensor in self.inputs.items()}
        values = {name: data[0] if len(data) == 1 else data for name, data in plain.items()}
        return {"id": self.id, **self.parameters, **values}

    def text(self, name: str) -> str:
        """Return a text input; empty if it is absent."""
        texts = self.inputs[name].texts if name in self.inputs else ()
        return texts[0] if texts else ""


def read_generate(body: bytes, model: Model) -> InferRequest:
    """Read the body of `generate` and `generate_stream`."""
    given = _object(body)
    identifier = given.pop("id", "")
    nested = _nested(given)
    fields = {**given, **nested}
    specs = {name: spec for name in fields if (spec := model.input(name)) is not None}
    inputs = {name: _generate_input(model, spec, fields[name]) for name, spec in specs.items()}
    parameters = dict(_generate_parameters({name: value for name, value in fields.items() if name not in specs}))
    if not isinstance(identifier, str):
        raise Refused("Unable to parse 'id': attempt to access JSON non-string as string", Code.INTERNAL)
    return _checked(InferRequest(model, identifier, inputs, parameters))


def read_infer(body: bytes, header_length: int | None, model: Model) -> InferRequest:
    """Read the body of `infer`: JSON, and behind its first `header_length` bytes the raw tensors."""
    size = len(body) if header_length is None else header_length
    given = _object(body[:size])
    inputs = {tensor.name: tensor for tensor in _infer_inputs(_objects(given, "inputs"), body[size:])}
    parameters = _parameters(given)
    outputs = {str(each.get("name")): _is_binary(each) for each in _objects(given, "outputs")}
    is_binary = parameters.pop("binary_data_output", False) is True
    return _checked(InferRequest(model, str(given.get("id", "")), inputs, parameters, outputs, is_binary))


def read_message(given: Fields, model: Model) -> InferRequest:
    """Read a `ModelInferRequest`."""
    raw = list(cast("Sequence[bytes]", given["raw_input_contents"]))
    messages = cast("Sequence[Fields]", given["inputs"])
    if raw and len(raw) != len(messages):
        text = "expected {} raw input contents, got {}"
        raise Refused(text.format(len(messages), len(raw)))
    read = [_message_input(message, raw[number] if raw else None) for number, message in enumerate(messages)]
    parameters = {name: _chosen(value) for name, value in cast("Mapping[str, Fields]", given["parameters"]).items()}
    outputs = {str(output["name"]): True for output in cast("Sequence[Fields]", given["outputs"])}
    inputs = {tensor.name: tensor for tensor in read}
    return _checked(InferRequest(model, str(given["id"]), inputs, parameters, outputs, is_binary=True))


def _nested(given: dict[str, JsonValue]) -> Mapping[str, JsonValue]:
    nested = given.pop("parameters", {})
    if not isinstance(nested, Mapping):
        text = "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object"
        raise Refused(text, Code.INTERNAL)
    return nested


def _checked(request: InferRequest) -> InferRequest:
    model = request.model
    for name, tensor in request.inputs.items():
        spec = model.input(name)
        if spec is None:
            raise Refused(f"unexpected inference input '{name}' for model '{model.name}'")
        if spec.datatype != tensor.datatype:
            text = f"inference input '{name}' data-type is '{tensor.datatype}', but model '{model.name}' expects "
            raise Refused(f"{request.label}{text}'{spec.datatype}'")
    for name in request.outputs:
        if all(spec.name != name for spec in model.outputs):
            raise Refused(f"unexpected inference output '{name}' for model '{model.name}'")
    required = sum(not spec.optional for spec in model.inputs)
    if len(request.inputs) < required and not request.flag("stop"):
        raise Refused(request.label + _missing(request, required))
    return request


def _missing(request: InferRequest, required: int) -> str:
    """Say which inputs are missing; the server only counts them before it looks."""
    specs = request.model.inputs
    missing = [spec.name for spec in specs if not spec.optional and spec.name not in request.inputs]
    return (
        f"expected number of inputs between {required} and {len(specs)} but got {len(request.inputs)} inputs for model "
        f"'{request.model.name}'. Got input(s) {list(request.inputs)}, but missing required input(s) {missing}. "
        "Please provide all required input(s)."
    )


def _object(body: bytes) -> dict[str, JsonValue]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Refused(f"failed to parse the request JSON buffer: {_place(str(wrong))}", Code.INTERNAL) from wrong
    if not isinstance(value, dict):
        raise Refused("attempt to get members for non-object", Code.INTERNAL)
    return value


def _place(wrong: str) -> str:
    found = re.search(r"byte (\d+)", wrong)
    return f"Invalid value. at {found[1] if found else 0}"


def _generate_input(model: Model, spec: TensorSpec, value: JsonValue) -> Tensor:
    count = len(value) if isinstance(value, list) else 1
    return tensors.from_json(spec.name, spec.datatype, _fitted(spec.name, model.shape(spec), count), value)


def _fitted(name: str, shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Return the shape with its open dimensions filled: the last takes what there is, the others are 1."""
    fixed = prod(size for size in shape if size > 0)
    opens = [number for number, size in enumerate(shape) if size < 0]
    if count % fixed or (not opens and count != fixed):
        raise Refused(f"The schema can not convert input '{name}' to tensor with proper shape")
    filled = {number: count // fixed if number == opens[-1] else 1 for number in opens}
    return tuple(filled.get(number, size) for number, size in enumerate(shape))


def _generate_parameters(given: Mapping[str, JsonValue]) -> Iterator[tuple[str, Parameter]]:
    for name, value in given.items():
        if not isinstance(value, str | int | float | bool):
            text = "has invalid type. It should be either 'int', 'bool', or 'string'."
            raise Refused(f"parameter '{name}' {text}")
        yield name, value


def _parameters(given: Mapping[str, JsonValue]) -> dict[str, Parameter]:
    found = given.get("parameters")
    return dict(_generate_parameters(found)) if isinstance(found, Mapping) else {}


def _is_binary(output: Mapping[str, JsonValue]) -> bool:
    return _parameters(output).get("binary_data") is True


def _objects(given: Mapping[str, JsonValue], name: str) -> list[Mapping[str, JsonValue]]:
    found = given.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Refused(f"Unable to parse '{name}': attempt to access JSON non-array as array", Code.INTERNAL)
    return found


def _infer_inputs(inputs: list[Mapping[str, JsonValue]], tail: bytes) -> Iterator[Tensor]:
    at = 0
    for given in inputs:
        name, datatype, shape = str(given.get("name")), str(given.get("datatype")), _shape(given)
        size = _parameters(given).get("binary_data_size")
        if isinstance(size, int):
            yield tensors.from_raw(name, datatype, shape, tail[at : at + size])
            at += size
        elif "data" in given:
            yield tensors.from_json(name, datatype, shape, given["data"])
        else:
            raise Refused(f"Unable to parse 'inputs': input '{name}' has no 'data'")
    if at != len(tail):
        raise Refused(f"unexpected additional input data for model, expected {at} bytes, got {len(tail)}")


def _shape(given: Mapping[str, JsonValue]) -> tuple[int, ...]:
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
        raise Refused("Unable to parse 'shape': attempt to access JSON non-array as array", Code.INTERNAL)
    return tuple(cast("list[int]", shape))


def _message_input(given: Fields, raw: bytes | None) -> Tensor:
    name, datatype = str(given["name"]), str(given["datatype"])
    shape = tuple(cast("Sequence[int]", given["shape"]))
    if raw is not None:
        return tensors.from_raw(name, datatype, shape, raw)
    contents = cast("Fields", given.get("contents", {}))
    values = cast("Sequence[Scalar]", contents.get(_CONTENTS.get(datatype, ""), ()))
    return Tensor(name, datatype, shape, tuple(values))


def _chosen(parameter: Value) -> Parameter:
    values = list(cast("Mapping[str, Parameter]", parameter).values())
    if not values:
        raise Refused("request parameter has no value")
    return values[0]
