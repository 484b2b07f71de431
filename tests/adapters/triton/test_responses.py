"""The three shapes of a response."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from adapters.triton.responses import Response, from_event, from_inferred, from_message
from adapters.triton.tensors import Tensor, packed

pytestmark = pytest.mark.req("OC-ADAPT-5060")


def event(**fields: object) -> bytes:
    return json.dumps({"model_name": "m", "model_version": "1", **fields}).encode()


@pytest.mark.parametrize(
    ("data", "response"),
    [
        (event(text_output="the"), Response(text="the")),
        (event(text_output=["the", "other"]), Response(text="the")),
        (event(text_output=[]), Response()),
        (event(), Response()),
        (
            event(text_output="", finish_reason="stop", num_input_tokens=3, num_output_tokens=[1]),
            Response(text="", finish_reason="stop", tokens_in=3, tokens_out=1),
        ),
        (event(text_output="a", cum_log_probs=[[0.1], [0.2]], batch_index=0, error=None), Response(text="a")),
        (b'{"error":"no"}', Response(error=b'{"error":"no"}')),
        (b'{"model_name":"m","text_output":"\xc3"}', Response(text=b"\xc3")),
        (b'{"model_name":"m","text_output":["a\xf0\x9f","x"]}', Response(text=b"a\xf0\x9f")),
    ],
)
def test_an_event(data: bytes, response: Response) -> None:
    assert from_event(data) == response


def test_an_error_with_bytes_in_it_is_still_an_error() -> None:
    found = from_event(b'{"error":"bad \xff"}')
    assert found.error is not None
    assert json.loads(found.error)["error"].startswith("bad ")


@given(data=st.binary(max_size=60))
def test_any_bytes_are_an_event_or_refused(data: bytes) -> None:
    for read in (from_event, from_inferred, from_message):
        try:
            found = read(data)
        except (ValueError, msgspec.MsgspecError):
            continue
        assert isinstance(found, Response)


@given(text=st.binary(max_size=20))
def test_every_text_that_the_server_passes_on_is_kept(text: bytes) -> None:
    plain = bytes(byte for byte in text if byte >= 0x20 and byte not in b'"\\')
    found = from_event(b'{"model_name":"m","text_output":"' + plain + b'"}').text
    assert (found if isinstance(found, bytes) else str(found).encode()) == plain


@pytest.mark.parametrize("data", [b"{}", b"[]", b"{this is not JSON", b'{"text_output":1}', b'"\xff"', b'{"x":"\xff"}'])
def test_what_is_no_event(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        from_event(data)


def test_an_inferred_body() -> None:
    outputs = [
        {"name": "text_output", "datatype": "BYTES", "shape": [1, 1], "data": ["all of it"]},
        {"name": "finish_reason", "datatype": "BYTES", "shape": [1], "data": ["length"]},
        {"name": "num_output_tokens", "datatype": "INT32", "shape": [1], "data": [4]},
        {"name": "other", "datatype": "FP32", "shape": [0], "data": []},
    ]
    body = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    assert from_inferred(body) == Response(text="all of it", finish_reason="length", tokens_out=4)


def message(*tensors: Tensor, error: str = "") -> bytes:
    built = service_pb2.ModelStreamInferResponse(error_message=error)
    for tensor in tensors:
        built.infer_response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        built.infer_response.raw_output_contents.append(packed(tensor))
    data: bytes = built.SerializeToString()
    return data


def test_a_grpc_message() -> None:
    tensors = (
        Tensor("text_output", "BYTES", (1,), (b"half \xc3",)),
        Tensor("finish_reason", "BYTES", (1,), (b"stop",)),
        Tensor("num_input_tokens", "UINT32", (1,), (5,)),
        Tensor("is_done", "BOOL", (1,), (True,)),
    )
    assert from_message(message(*tensors)) == Response(text=b"half \xc3", finish_reason="stop", tokens_in=5)


def test_a_grpc_message_without_outputs_is_bare() -> None:
    assert from_message(message()) == Response(is_bare=True)


def test_a_grpc_error_has_the_shape_that_http_has() -> None:
    assert from_message(message(error="no such model")).error == b'{"error": "no such model"}'
