"""The messages of the KServe v2 gRPC service, as far as this double speaks them: dictionaries to bytes and back.

The subset of the `.proto` files stands below as a table and is built into a descriptor pool of its own, so that it
lives beside the official client's generated classes in one process. `repeated` is written `[]`, a map `{}`. A field
that is absent has no key after `decode`, and is left out by `encode`. Unknown fields are skipped, as protobuf wants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

if TYPE_CHECKING:
    from google.protobuf.message import Message

Value = str | bytes | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]
Fields = Mapping[str, Value]


class NotProtobuf(ValueError):
    """The bytes are not a message of this type."""


_DURATION = "StatisticDuration"
_PARAMETERS = "InferParameter{}"
SCHEMA: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": (1, "bool")},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": (1, "bool")},
    "ModelReadyRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelReadyResponse": {"ready": (1, "bool")},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {"name": (1, "string"), "version": (2, "string"), "extensions": (3, "string[]")},
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "TensorMetadata": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64[]")},
    "ModelMetadataResponse": {
        "name": (1, "string"),
        "versions": (2, "string[]"),
        "platform": (3, "string"),
        "inputs": (4, "TensorMetadata[]"),
        "outputs": (5, "TensorMetadata[]"),
    },
    "InferParameter": {
        "bool_param": (1, "bool"),
        "int64_param": (2, "int64"),
        "string_param": (3, "string"),
        "double_param": (4, "double"),
        "uint64_param": (5, "uint64"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "bool[]"),
        "int_contents": (2, "int32[]"),
        "int64_contents": (3, "int64[]"),
        "uint_contents": (4, "uint32[]"),
        "uint64_contents": (5, "uint64[]"),
        "fp32_contents": (6, "float[]"),
        "fp64_contents": (7, "double[]"),
        "bytes_contents": (8, "bytes[]"),
    },
    "InferInputTensor": {
        "name": (1, "string"),
        "datatype": (2, "string"),
        "shape": (3, "int64[]"),
        "parameters": (4, _PARAMETERS),
        "contents": (5, "InferTensorContents"),
    },
    "InferRequestedOutputTensor": {"name": (1, "string"), "parameters": (2, _PARAMETERS)},
    "ModelInferRequest": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, _PARAMETERS),
        "inputs": (5, "InferInputTensor[]"),
        "outputs": (6, "InferRequestedOutputTensor[]"),
        "raw_input_contents": (7, "bytes[]"),
    },
    "InferOutputTensor": {"name": (1, "string"), "datatype": (2, "string"), "shape": (3, "int64[]")},
    "ModelInferResponse": {
        "model_name": (1, "string"),
        "model_version": (2, "string"),
        "id": (3, "string"),
        "parameters": (4, _PARAMETERS),
        "outputs": (5, "InferOutputTensor[]"),
        "raw_output_contents": (6, "bytes[]"),
    },
    "ModelStreamInferResponse": {"error_message": (1, "string"), "infer_response": (2, "ModelInferResponse")},
    "ModelConfigRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelTransactionPolicy": {"decoupled": (1, "bool")},
    "ModelParameter": {"string_value": (1, "string")},
    "ModelInput": {"name": (1, "string"), "data_type": (2, "int32"), "dims": (4, "int64[]"), "optional": (8, "bool")},
    "ModelOutput": {"name": (1, "string"), "data_type": (2, "int32"), "dims": (3, "int64[]")},
    "ModelConfig": {
        "name": (1, "string"),
        "platform": (2, "string"),
        "max_batch_size": (4, "int32"),
        "input": (5, "ModelInput[]"),
        "output": (6, "ModelOutput[]"),
        "parameters": (14, "ModelParameter{}"),
        "backend": (17, "string"),
        "model_transaction_policy": (19, "ModelTransactionPolicy"),
    },
    "ModelConfigResponse": {"config": (1, "ModelConfig")},
    "ModelStatisticsRequest": {"name": (1, "string"), "version": (2, "string")},
    "StatisticDuration": {"count": (1, "uint64"), "ns": (2, "uint64")},
    "InferStatistics": {
        "success": (1, _DURATION),
        "fail": (2, _DURATION),
        "queue": (3, _DURATION),
        "compute_input": (4, _DURATION),
        "compute_infer": (5, _DURATION),
        "compute_output": (6, _DURATION),
        "cache_hit": (7, _DURATION),
        "cache_miss": (8, _DURATION),
    },
    "ModelStatistics": {
        "name": (1, "string"),
        "version": (2, "string"),
        "last_inference": (3, "uint64"),
        "inference_count": (4, "uint64"),
        "execution_count": (5, "uint64"),
        "inference_stats": (6, "InferStatistics"),
    },
    "ModelStatisticsResponse": {"model_stats": (1, "ModelStatistics[]")},
    "RepositoryIndexRequest": {"repository_name": (1, "string"), "ready": (2, "bool")},
    "ModelIndex": {"name": (1, "string"), "version": (2, "string"), "state": (3, "string"), "reason": (4, "string")},
    "RepositoryIndexResponse": {"models": (1, "ModelIndex[]")},
}
"""Message -> field -> (number, type). Enumerations are `int32`: they travel the same."""

ONE_OF = {"InferParameter": "parameter_choice"}
"""Message -> the name of the `oneof` that all its fields are in."""

_PACKAGE = "conformance.triton"
_SCALARS = {
    name: cast("int", getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}"))
    for name in ("string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "float", "double")
}


def encode(message: str, fields: Fields) -> bytes:
    """Return the bytes of a message; KeyError or ValueError if the table has no such field or type."""
    return cast("bytes", _filled(message, fields).SerializeToString())


def decode(message: str, data: bytes) -> dict[str, Value]:
    """Return the fields that are set, with repeated fields and maps always there; raise `NotProtobuf`."""
    read = _class(message)()
    try:
        read.ParseFromString(data)
    except DecodeError as wrong:
        raise NotProtobuf(f"not a {message}: {wrong}") from wrong
    return _fields_of(message, read)


def _filled(message: str, fields: Fields) -> Message:
    made = _class(message)()
    for name, value in fields.items():
        _fill(made, name, SCHEMA[message][name][1], value)
    return made


def _fill(made: Message, name: str, kind: str, value: Value) -> None:
    if kind.endswith("{}") and isinstance(value, Mapping):
        for key, item in value.items():
            getattr(made, name)[key].CopyFrom(_filled(kind[:-2], _as_fields(item)))
    elif kind.endswith("[]") and isinstance(value, Sequence):
        base = kind[:-2]
        getattr(made, name).extend(value if base in _SCALARS else (_filled(base, _as_fields(item)) for item in value))
    elif kind in _SCALARS:
        setattr(made, name, value)
    else:
        getattr(made, name).CopyFrom(_filled(kind, _as_fields(value)))


def _as_fields(value: Value) -> Fields:
    if not isinstance(value, Mapping):
        raise TypeError(f"a message is a mapping, not {value!r}")
    return value


def _fields_of(message: str, read: Message) -> dict[str, Value]:
    found = {}
    for name, (_number, kind) in SCHEMA[message].items():
        if kind.endswith(("[]", "{}")) or (kind in _SCALARS and message not in ONE_OF) or read.HasField(name):
            found[name] = _value_of(kind, getattr(read, name))
    return found


def _value_of(kind: str, value: object) -> Value:
    if kind.endswith("{}"):
        items = cast("Mapping[str, Message]", value)
        return {key: _fields_of(kind[:-2], items[key]) for key in items}
    if kind.endswith("[]"):
        return [_value_of(kind[:-2], item) for item in cast("Sequence[object]", value)]
    return cast("Value", value) if kind in _SCALARS else _fields_of(kind, cast("Message", value))


@cache
def _class(message: str) -> type[Message]:
    found = message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{message}"))
    return cast("type[Message]", found)


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="conformance/triton.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in SCHEMA.items():
        described = file.message_type.add(name=message)
        if message in ONE_OF:
            described.oneof_decl.add(name=ONE_OF[message])
        for name, (number, kind) in fields.items():
            _describe(described, name, number, kind, in_one_of=message in ONE_OF)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _describe(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str, *, in_one_of: bool = False
) -> None:
    base = kind.removesuffix("[]").removesuffix("{}")
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_OPTIONAL if kind == base else field.LABEL_REPEATED
    if kind.endswith("{}"):
        _describe_map(message, field, base)
    elif base in _SCALARS:
        field.type = _SCALARS[base]
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{base}"
    if in_one_of:
        field.oneof_index = 0


def _describe_map(
    message: descriptor_pb2.DescriptorProto, field: descriptor_pb2.FieldDescriptorProto, value: str
) -> None:
    entry = message.nested_type.add(name=f"{field.name.title().replace('_', '')}Entry")
    entry.options.map_entry = True
    _describe(entry, "key", 1, "string")
    _describe(entry, "value", 2, value)
    field.type = field.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
