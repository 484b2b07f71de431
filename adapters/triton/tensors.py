"""Tensors as the two wire forms have them: JSON numbers and texts, and packed little-endian bytes.

Pure. Texts are the datatype `BYTES`: in packed form each element has its length in four bytes before it. What is read
from packed bytes stays bytes, since an element may end inside a character.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = bool | int | float | str | bytes

_CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""Datatype -> code of `struct`; `BYTES` and `BF16` have rules of their own."""
_LENGTH = struct.Struct("<I")


class Unfit(ValueError):
    """A value that its datatype cannot hold; the text names the tensor and not the value."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a model; a dimension of -1 takes any size, and a batch dimension comes first."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor with its elements in row-major order."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: tuple[Value, ...] = field(repr=False)


def filled(spec: TensorSpec, value: Value | list[str]) -> Tensor:
    """Return a tensor of one scalar, or of one row of texts, in the shape that `spec` asks for."""
    values = tuple(value) if isinstance(value, list) else (value,)
    inner = (1,) * (len(spec.shape) - 1)
    return Tensor(spec.name, spec.datatype, (*inner, len(values)) if spec.shape else (), values)


def has_room(spec: TensorSpec, value: Value | list[str]) -> bool:
    """Return whether a tensor of `spec` can hold so many texts; one value always fits."""
    is_open = any(size < 0 for size in spec.shape)
    return not isinstance(value, list) or len(value) == 1 or is_open or len(value) == prod(spec.shape)


def column(spec: TensorSpec, values: list[str]) -> Tensor:
    """Return a tensor with one row for each value, or a flat one where `spec` has no second dimension."""
    inner = (1,) * (len(spec.shape) - 1)
    return Tensor(spec.name, spec.datatype, (len(values), *inner), tuple(values))


def packed(tensor: Tensor) -> bytes:
    """Return the elements as bytes; raise `Unfit`, or `ValueError` for a datatype that nobody knows."""
    if tensor.datatype == "BYTES":
        return b"".join(_with_length(value) for value in tensor.values)
    try:
        return struct.pack(f"<{len(tensor.values)}{_code(tensor.datatype)}", *tensor.values)
    except (struct.error, OverflowError):
        raise Unfit(f"`{tensor.name}` cannot hold the value: it is {tensor.datatype}") from None


def unpacked(datatype: str, data: bytes, shape: tuple[int, ...]) -> tuple[Value, ...]:
    """Return the elements in `data`; raise `ValueError` if they are not as many as `shape` holds."""
    values = tuple(_elements(datatype, data))
    if len(values) != prod(shape):
        raise ValueError(f"{len(values)} elements in the shape {list(shape)}")
    return values


def _elements(datatype: str, data: bytes) -> Iterator[Value]:
    if datatype == "BYTES":
        return _texts(data)
    if datatype == "BF16":  # the upper half of an FP32
        return _elements("FP32", b"".join(b"\0\0" + data[n : n + 2] for n in range(0, len(data), 2)))
    try:
        return (value for (value,) in struct.iter_unpack(f"<{_code(datatype)}", data))
    except struct.error:
        raise ValueError(f"{len(data)} bytes are no {datatype} elements") from None


def _texts(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        if start + _LENGTH.size > len(data):
            raise ValueError("a text without its length")
        (size,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        if start + size > len(data):
            raise ValueError("a text is cut short")
        yield data[start : start + size]
        start += size


def _with_length(value: Value) -> bytes:
    text = value if isinstance(value, bytes) else str(value).encode()
    return _LENGTH.pack(len(text)) + text


def _code(datatype: str) -> str:
    if datatype not in _CODES:
        raise ValueError(f"no way to pack {datatype[:20]!r}")
    return _CODES[datatype]
