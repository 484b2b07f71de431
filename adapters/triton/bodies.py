"""Requests on the wire: the flat body of the generate extension, the tensors of infer, the answers in rows.

Pure.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter_api import AdapterError

from .tensors import Tensor, filled, has_room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue

    from .dialects import Input
    from .tensors import TensorSpec


def generate(request_id: str, fields: Mapping[str, Input]) -> dict[str, JsonValue]:
    """Return the body of `POST …/generate_stream`; the id is a field of it and no header."""
    return {"id": request_id, **fields}


def check_room(fields: Mapping[str, Input], specs: Mapping[str, TensorSpec]) -> None:
    """Raise `AdapterError` for a list of texts where the model takes one: it would refuse the request."""
    for name, value in fields.items():
        if not has_room(specs[name], value):
            raise AdapterError(f"completion: the model takes no list of texts for `{name}`", blames_request=True)


def tensors(fields: Mapping[str, Input], specs: Mapping[str, TensorSpec]) -> list[Tensor]:
    """Return one tensor for each field, in the shape that the model's metadata asks for."""
    return [filled(specs[name], value) for name, value in fields.items()]


def infer(request_id: str, inputs: Sequence[Tensor], outputs: Sequence[str] = ()) -> dict[str, JsonValue]:
    """Return the body of `POST …/infer`; without `outputs` the model gives all it has."""
    body: dict[str, JsonValue] = {"id": request_id, "inputs": [_as_json(tensor) for tensor in inputs]}
    return {**body, "outputs": [{"name": name} for name in outputs]} if outputs else body


class _Output(msgspec.Struct):
    name: str
    data: list[float]


class Numbers(msgspec.Struct):
    """The answer of a model that gives numbers."""

    outputs: list[_Output]

    def rows(self, name: str, count: int) -> list[list[float]]:
        """Return an output in so many rows; raise `ValueError` if it is not there or does not part evenly."""
        data = next((output.data for output in self.outputs if output.name == name), None)
        if data is None:
            raise ValueError(f"no output {name!r}")
        if not data or len(data) % count:
            raise ValueError(f"{len(data)} numbers for {count} inputs")
        width = len(data) // count
        return [data[n : n + width] for n in range(0, len(data), width)]


def _as_json(tensor: Tensor) -> dict[str, JsonValue]:
    data = [value.decode() if isinstance(value, bytes) else value for value in tensor.values]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "data": data}
