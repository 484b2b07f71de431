"""The Triton double's codecs: tensors, messages and frames, held to the official client's own."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from conformance.engines.triton import tensors
from conformance.engines.triton.failures import Refused
from conformance.engines.triton.grpc_call import MessageReader, framed
from conformance.engines.triton.protobuf import ONE_OF, SCHEMA, NotProtobuf, decode, encode
from conformance.engines.triton.replies import data_type
from conformance.engines.triton.tensors import Tensor

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

    from conformance.engines.triton.protobuf import Value

TEXTS = st.lists(st.text(), min_size=1, max_size=5)
NUMBERS = {
    "BOOL": st.booleans(),
    "INT8": st.integers(-128, 127),
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UINT32": st.integers(0, 2**32 - 1),
    "UINT64": st.integers(0, 2**64 - 1),
    "FP32": st.floats(width=32, allow_nan=False),
    "FP64": st.floats(allow_nan=False),
}
OFFICIAL = {**service_pb2.DESCRIPTOR.message_types_by_name, **model_config_pb2.DESCRIPTOR.message_types_by_name}
NESTED = {
    "TensorMetadata": "ModelMetadataResponse",
    "InferInputTensor": "ModelInferRequest",
    "InferRequestedOutputTensor": "ModelInferRequest",
    "InferOutputTensor": "ModelInferResponse",
    "ModelIndex": "RepositoryIndexResponse",
}


def official(message: str) -> Descriptor:
    if message in NESTED:
        return OFFICIAL[NESTED[message]].nested_types_by_name[message]
    return OFFICIAL[message]


@pytest.mark.parametrize("message", SCHEMA)
def test_every_field_has_the_officials_number_and_type(message: str) -> None:
    fields = official(message).fields_by_name
    for name, (number, kind) in SCHEMA[message].items():
        field = fields[name]
        base = kind.removesuffix("[]").removesuffix("{}")
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        inner = field.message_type.fields_by_name["value"].message_type if is_map else field.message_type
        names = {field.TYPE_ENUM: "int32", field.TYPE_MESSAGE: inner.name if inner else ""}
        scalar = next(n for n, value in vars(type(field)).items() if n.startswith("TYPE_") and value == field.type)
        assert (number, base) == (field.number, names.get(field.type, scalar.removeprefix("TYPE_").lower())), name
        assert (kind != base) == field.is_repeated, name
        assert kind.endswith("{}") == is_map, name
    assert (message in ONE_OF) == any(fields[name].containing_oneof for name in SCHEMA[message])


@given(texts=TEXTS, name=st.text(), is_last=st.booleans())
def test_the_official_classes_read_what_is_written(texts: list[str], name: str, is_last: bool) -> None:
    raw = tensors.to_raw(tensors.text("text_output", *texts))
    fields: dict[str, Value] = {
        "model_name": name,
        "parameters": {"triton_final_response": {"bool_param": is_last}},
        "outputs": [{"name": "text_output", "datatype": "BYTES", "shape": [len(texts)]}],
        "raw_output_contents": [raw],
    }
    data = encode("ModelStreamInferResponse", {"infer_response": fields})
    read = service_pb2.ModelStreamInferResponse.FromString(data).infer_response
    assert (read.model_name, read.parameters["triton_final_response"].bool_param) == (name, is_last)
    assert [text.decode() for text in deserialize_bytes_tensor(read.raw_output_contents[0])] == texts


@given(model=st.text(), identifier=st.text(), value=st.integers(-(2**63), 2**63 - 1), raw=st.binary(max_size=50))
def test_what_the_official_classes_write_is_read(model: str, identifier: str, value: int, raw: bytes) -> None:
    request = service_pb2.ModelInferRequest(model_name=model, id=identifier, raw_input_contents=[raw])
    request.inputs.add(name="x", datatype="INT64", shape=[1, -1]).contents.int64_contents.append(value)
    request.parameters["a"].int64_param = value
    request.parameters["b"].bool_param = False
    read = decode("ModelInferRequest", request.SerializeToString())
    assert (read["model_name"], read["id"], read["raw_input_contents"]) == (model, identifier, [raw])
    assert read["parameters"] == {"a": {"int64_param": value}, "b": {"bool_param": False}}
    (tensor,) = read["inputs"] if isinstance(read["inputs"], list) else []
    assert tensor["shape"] == [1, -1]
    assert tensor["contents"]["int64_contents"] == [value]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_none(data: bytes) -> None:
    try:
        read = decode("ModelInferRequest", data)
    except NotProtobuf:
        return
    assert set(read) <= set(SCHEMA["ModelInferRequest"])


def test_data_types_are_numbered_as_in_the_configuration() -> None:
    for name in (*NUMBERS, "FP16", "UINT8", "BYTES"):
        official_name = "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}"
        assert data_type(name) == model_config_pb2.DataType.Value(official_name)


@given(st.data(), st.sampled_from(sorted(NUMBERS)))
def test_numbers_come_back_from_bytes_and_json(data: st.DataObject, datatype: str) -> None:
    values = tuple(data.draw(st.lists(NUMBERS[datatype], min_size=1, max_size=6)))
    tensor = Tensor("x", datatype, (len(values),), values)
    assert tensors.from_raw("x", datatype, tensor.shape, tensors.to_raw(tensor)) == tensor
    assert tensors.from_json("x", datatype, tensor.shape, tensors.to_json(tensor)) == tensor


@given(TEXTS)
def test_texts_come_back_and_are_the_officials_bytes(texts: list[str]) -> None:
    tensor = tensors.text("x", *texts)
    raw = tensors.to_raw(tensor)
    assert raw == serialize_byte_tensor(np.array([text.encode() for text in texts], dtype=np.object_)).item()
    assert tensors.from_raw("x", "BYTES", tensor.shape, raw).texts == tuple(texts)
    assert tensors.from_json("x", "BYTES", (1, len(texts)), [list(texts)]).values == tensor.values


@pytest.mark.parametrize(
    ("datatype", "shape", "raw"),
    [
        ("FP32", (2,), b"\0" * 4),
        ("FP32", (1,), b"\0" * 5),
        ("BYTES", (1,), b"\x05\0\0\0abc"),
        ("BYTES", (2,), b"\x01\0\0\0a"),
        ("NOPE", (1,), b"\0"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, shape: tuple[int, ...], raw: bytes) -> None:
    with pytest.raises(Refused):
        tensors.from_raw("x", datatype, shape, raw)


@given(
    messages=st.lists(st.tuples(st.binary(max_size=40), st.booleans()), max_size=4),
    cuts=st.lists(st.integers(0, 300), max_size=12),
)
def test_frames_are_found_however_their_bytes_arrive(messages: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    wire = b"".join(_packed(message) if packs else framed(message) for message, packs in messages)
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    reader = MessageReader("deflate", 1000)
    got = [found for start, end in pairwise(edges) for found in reader.feed(wire[start:end])]
    assert got == [message for message, _ in messages]


def _packed(message: bytes) -> bytes:
    return b"\x01" + framed(zlib.compress(message))[1:]


def test_a_message_beyond_the_bound_and_an_unknown_encoding_are_refused() -> None:
    with pytest.raises(Refused, match="larger than max"):
        MessageReader("identity", 10).feed(framed(b"x" * 11)[:5])
    with pytest.raises(Refused, match="not enabled"):
        MessageReader("snappy", 10).feed(b"\x01" + framed(b"x")[1:])
    with pytest.raises(Refused, match="decompress"):
        MessageReader("gzip", 10).feed(b"\x01" + framed(b"x")[1:])
