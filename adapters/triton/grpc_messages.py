"""The protobuf messages of the one gRPC call that this adapter makes.

The part of Triton's `grpc_service.proto` that is used stands below as a table, with the same field numbers, and is made
into a descriptor pool of its own: the official client's classes can live in the same process, and no generated code has
to match the installed protobuf. Fields that are not in the table are skipped.

Tensors travel as packed bytes in both directions, which is what the server sends in any case.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from .tensors import Tensor, packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"
FINAL = "triton_final_response"
_WANT_FINAL = "triton_enable_empty_final_response"

_PACKAGE = "orchestratord_triton"
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int64": FieldDescriptorProto.TYPE_INT64,
}
_SCHEMA: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "InferParameter": {"bool_param": (1, "bool"), "int64_param": (2, "int64"), "string_param": (3, "string")},
    "ParameterEntry": {"key": (1, "string"), "value": (2, "InferParameter")},
    "InferInputTensor": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64*")},
    "InferOutputTensor": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64*")},
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, "ParameterEntry*"),
        "inputs": (5, "InferInputTensor*"),
        "raw_input_contents": (7, "bytes*"),
    },
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, "ParameterEntry*"),
        "outputs": (5, "InferOutputTensor*"),
        "raw_output_contents": (6, "bytes*"),
    },
    "ModelStreamInferResponse": {"error_message": (1, "string"), "infer_response": (2, "ModelInferResponse")},
}
"""Message -> field -> number and type; `*` is repeated. A map is on the wire what its entries are, repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of the answer; `is_final` is the server's own mark on the last one."""

    error: str = ""
    model_version: str = ""
    outputs: tuple[Tensor, ...] = field(default=(), repr=False)
    is_final: bool = False


def request(model: str, version: str, request_id: str, inputs: Sequence[Tensor]) -> bytes:
    """Return a `ModelInferRequest`; raise as `tensors.packed` does."""
    message = _CLASSES["ModelInferRequest"]()
    message.model_name, message.model_version, message.id = model, version, request_id
    wish = message.parameters.add()
    wish.key, wish.value.bool_param = _WANT_FINAL, True
    for tensor in inputs:
        given = message.inputs.add()
        given.name, given.datatype = tensor.name, tensor.datatype
        given.shape.extend(tensor.shape)
        message.raw_input_contents.append(packed(tensor))
    wire: bytes = message.SerializeToString()
    return wire


def answer(data: bytes) -> Answer:
    """Read a `ModelStreamInferResponse`; raise `ValueError` if it is none."""
    message = _CLASSES["ModelStreamInferResponse"]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise ValueError("not a message of the protocol") from None
    if message.error_message:
        return Answer(error=message.error_message)
    response = message.infer_response
    if len(response.outputs) != len(response.raw_output_contents):
        raise ValueError("outputs and contents are not as many")
    return Answer(
        model_version=response.model_version,
        outputs=tuple(map(_output, response.outputs, response.raw_output_contents)),
        is_final=any(entry.key == FINAL and entry.value.bool_param for entry in response.parameters),
    )


def _output(head: Message, data: bytes) -> Tensor:
    shape = tuple(head.shape)
    return Tensor(head.name, head.datatype, shape, unpacked(head.datatype, data, shape))


def _classes() -> Mapping[str, type[Message]]:
    """Return a class for each message of the table."""
    file = FileDescriptorProto(name="orchestratord_triton.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            message.field.add(name=field_name, number=number, **_kind(kind))
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _SCHEMA}


def _kind(kind: str) -> dict[str, str | int]:
    base = kind.rstrip("*")
    label = FieldDescriptorProto.LABEL_REPEATED if base != kind else FieldDescriptorProto.LABEL_OPTIONAL
    if base in _SCALARS:
        return {"label": label, "type": _SCALARS[base]}
    return {"label": label, "type": FieldDescriptorProto.TYPE_MESSAGE, "type_name": f".{_PACKAGE}.{base}"}


_CLASSES = _classes()
