"""Tensors as both protocols carry them: values in row order, JSON data, raw little-endian bytes.

`BYTES` values are bytes objects; raw, each is preceded by its length in four bytes. A tensor holds Python values, not
arrays: those of a text model are a handful.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from .failures import Code, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapter_api import JsonValue

Scalar = bytes | int | float | bool

_CODES = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named block of values; `prod(shape)` is how many."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: tuple[Scalar, ...]

    @property
    def first(self) -> Scalar:
        """The value of a tensor that stands for a scalar."""
        return self.values[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of a `BYTES` tensor as text."""
        return tuple(value.decode(errors="replace") for value in self.values if isinstance(value, bytes))


def text(name: str, *values: str) -> Tensor:
    """Return a `BYTES` tensor of one dimension."""
    return Tensor(name, "BYTES", (len(values),), tuple(value.encode() for value in values))


def scalar(name: str, datatype: str, value: Scalar) -> Tensor:
    """Return a tensor of one value."""
    return Tensor(name, datatype, (1,), (value,))


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: JsonValue) -> Tensor:
    """Return a tensor from JSON data, nested or flat, or refuse data of a wrong type or number."""
    values = tuple(_value(datatype, value) for value in _flat(data))
    if len(values) != prod(shape):
        raise Refused("Unable to parse 'data': Shape does not match true shape of 'data' field", Code.INTERNAL)
    return Tensor(name, datatype, shape, values)


def to_json(tensor: Tensor) -> list[JsonValue]:
    """Return the values as JSON data, flat."""
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in tensor.values]


def from_raw(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> Tensor:
    """Return a tensor from its bytes, or refuse bytes that are not as many as the shape says."""
    if datatype == "BYTES":
        values: tuple[Scalar, ...] = tuple(_byte_strings(name, raw))
    else:
        values = _numbers(name, datatype, raw)
    if len(values) != prod(shape):
        raise Refused(_SIZE.format(name, prod(shape), len(values)))
    return Tensor(name, datatype, shape, values)


def to_raw(tensor: Tensor) -> bytes:
    """Return the bytes of a tensor."""
    if tensor.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value)) + value for value in tensor.values if isinstance(value, bytes))
    return struct.pack(f"<{len(tensor.values)}{_code(tensor.datatype)}", *tensor.values)


_SIZE = "unexpected number of elements for input '{}', expecting {}, got {}"


def _flat(data: JsonValue) -> Iterator[JsonValue]:
    if isinstance(data, list | tuple):
        for item in data:
            yield from _flat(item)
    else:
        yield data


def _value(datatype: str, value: JsonValue) -> Scalar:
    match datatype:
        case "BYTES" if isinstance(value, str):
            return value.encode()
        case "BOOL" if isinstance(value, bool):
            return value
        case "FP16" | "FP32" | "FP64" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case _ if datatype in _CODES and datatype != "BOOL" and isinstance(value, int) and not isinstance(value, bool):
            return _checked(datatype, value)
    raise Refused(_wrong_type(datatype), Code.INTERNAL)


def _wrong_type(datatype: str) -> str:
    if datatype == "BYTES":
        return "Unable to parse JSON bytes array: attempt to access JSON non-string as string"
    kinds = {"B": ("boolean", "boolean"), "F": ("number", "double"), "U": ("unsigned-integer", "unsigned-integer")}
    given, wanted = kinds.get(datatype[0], ("signed-integer", "signed-integer"))
    return f"Unable to parse 'data': attempt to access JSON non-{given} as {wanted}"


def _checked(datatype: str, value: int) -> int:
    try:
        struct.pack(f"<{_code(datatype)}", value)
    except struct.error as wrong:
        raise Refused(_wrong_type(datatype), Code.INTERNAL) from wrong
    return value


def _byte_strings(name: str, raw: bytes) -> Iterable[bytes]:
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        if len(raw) < at + 4 + size:
            raise Refused(f"incomplete string data for inference input '{name}', expecting string of length {size}")
        yield raw[at + 4 : at + 4 + size]
        at += 4 + size


def _numbers(name: str, datatype: str, raw: bytes) -> tuple[Scalar, ...]:
    code = _code(datatype)
    size = struct.calcsize(f"<{code}")
    if len(raw) % size:
        raise Refused(_SIZE.format(name, "whole elements", f"{len(raw)} bytes"))
    return struct.unpack(f"<{len(raw) // size}{code}", raw)


def _code(datatype: str) -> str:
    if datatype not in _CODES:
        raise Refused(f"invalid datatype '{datatype}'")
    return _CODES[datatype]
