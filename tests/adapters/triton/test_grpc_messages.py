"""Our messages and the official client's are the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from adapters.triton import grpc_messages
from adapters.triton.tensors import Tensor, packed

pytestmark = pytest.mark.req("OC-ADAPT-5060")

NAMES = st.text(max_size=12)
TENSORS = st.lists(
    st.builds(
        lambda name, values: Tensor(name, "INT32", (len(values),), tuple(values)),
        NAMES,
        st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
    ),
    max_size=3,
)


@given(model=NAMES, version=NAMES, request_id=NAMES, tensors=TENSORS)
def test_the_official_server_reads_what_we_write(
    model: str, version: str, request_id: str, tensors: list[Tensor]
) -> None:
    theirs = service_pb2.ModelInferRequest()
    theirs.ParseFromString(grpc_messages.request(model, version, request_id, tensors))
    assert (theirs.model_name, theirs.model_version, theirs.id) == (model, version, request_id)
    assert [(given.name, given.datatype, tuple(given.shape)) for given in theirs.inputs] == [
        (tensor.name, tensor.datatype, tensor.shape) for tensor in tensors
    ]
    assert list(theirs.raw_input_contents) == [packed(tensor) for tensor in tensors]
    assert theirs.parameters["triton_enable_empty_final_response"].bool_param


@given(version=NAMES, tensors=TENSORS, is_final=st.booleans(), other=NAMES)
def test_we_read_what_the_official_server_writes(
    version: str, tensors: list[Tensor], is_final: bool, other: str
) -> None:
    theirs = service_pb2.ModelStreamInferResponse()
    response = theirs.infer_response
    response.model_version = version
    response.parameters["triton_final_response"].bool_param = is_final
    response.parameters["something"].string_param = other
    for tensor in tensors:
        output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        output.parameters["more"].int64_param = 1
        response.raw_output_contents.append(packed(tensor))
    ours = grpc_messages.answer(theirs.SerializeToString())
    assert ours == grpc_messages.Answer(model_version=version, outputs=tuple(tensors), is_final=is_final)


def test_an_error_message_is_an_error() -> None:
    theirs = service_pb2.ModelStreamInferResponse(error_message="no such model")
    assert grpc_messages.answer(theirs.SerializeToString()).error == "no such model"


@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_value_error(data: bytes) -> None:
    try:
        found = grpc_messages.answer(data)
    except ValueError:
        return
    assert isinstance(found.error, str)


def test_outputs_without_their_contents_are_no_message() -> None:
    theirs = service_pb2.ModelStreamInferResponse()
    theirs.infer_response.outputs.add(name="x", datatype="INT32", shape=[1])
    with pytest.raises(ValueError, match="not as many"):
        grpc_messages.answer(theirs.SerializeToString())
