"""Tensors, packed and unpacked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from adapter_api import AdapterError
from adapters.triton.bodies import check_room
from adapters.triton.tensors import Tensor, TensorSpec, column, filled, has_room, packed, unpacked

pytestmark = pytest.mark.req("OC-ADAPT-5060")

NUMPY = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT64": "<u8",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}


@pytest.mark.parametrize("datatype", NUMPY)
@given(values=st.lists(st.integers(0, 1), max_size=8))
def test_numbers_are_packed_as_numpy_packs_them(datatype: str, values: list[int]) -> None:
    theirs = np.array(values, dtype=NUMPY[datatype])
    ours = packed(Tensor("x", datatype, (len(values),), tuple(theirs.tolist())))
    assert ours == theirs.tobytes()
    assert unpacked(datatype, ours, (len(values),)) == tuple(theirs.tolist())


@given(texts=st.lists(st.text(max_size=20), max_size=5))
def test_texts_are_packed_as_the_official_client_packs_them(texts: list[str]) -> None:
    ours = packed(Tensor("x", "BYTES", (len(texts),), tuple(texts)))
    theirs = serialize_byte_tensor(np.array([text.encode() for text in texts], dtype=np.object_))
    assert ours == (theirs.item() if theirs.size else b"")
    assert list(unpacked("BYTES", ours, (len(texts),))) == list(deserialize_bytes_tensor(ours))


@given(data=st.binary(max_size=40), datatype=st.sampled_from([*NUMPY, "BYTES", "BF16", "FP8"]), size=st.integers(0, 9))
def test_any_bytes_are_elements_or_a_value_error(data: bytes, datatype: str, size: int) -> None:
    try:
        values = unpacked(datatype, data, (size,))
    except ValueError:
        return
    assert len(values) == size


def test_the_short_float_is_the_upper_half_of_a_float() -> None:
    assert unpacked("BF16", b"\x80\x3f\x00\xc0", (2,)) == (1.0, -2.0)


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        ((1,), "hi", (1,)),
        ((-1, 1), "hi", (1, 1)),
        ((-1, -1), ["a", "b", "c"], (1, 3)),
        ((-1,), ["a", "b"], (2,)),
        ((), 7, ()),
    ],
)
def test_an_input_gets_the_shape_that_its_model_asks_for(
    shape: tuple[int, ...], value: str | int | list[str], expected: tuple[int, ...]
) -> None:
    assert filled(TensorSpec("x", "BYTES", shape), value).shape == expected


def test_rows_of_texts_are_a_column_where_there_are_two_dimensions() -> None:
    assert column(TensorSpec("x", "BYTES", (-1, 1)), ["a", "b"]).shape == (2, 1)
    assert column(TensorSpec("x", "BYTES", (-1,)), ["a", "b"]).shape == (2,)


@pytest.mark.parametrize(("datatype", "value"), [("INT32", "a prompt"), ("UINT8", 256), ("FP8", 1)])
def test_a_value_that_does_not_fit_is_refused_without_being_quoted(datatype: str, value: str | int) -> None:
    with pytest.raises(ValueError, match=r"`x` cannot hold|no way to pack") as refused:
        packed(Tensor("x", datatype, (1,), (value,)))
    assert str(value) not in str(refused.value)


@pytest.mark.parametrize(
    ("shape", "texts", "fits"),
    [
        ((1,), ["a"], True),
        ((1,), ["a", "b"], False),
        ((-1,), ["a", "b"], True),
        ((-1, 1), ["a", "b"], True),
        ((2,), ["a", "b"], True),
        ((1,), "a", True),
        ((1,), 7, True),
    ],
)
def test_a_list_needs_room(shape: tuple[int, ...], texts: list[str] | str | int, fits: bool) -> None:
    assert has_room(TensorSpec("stop", "BYTES", shape), texts) is fits


@pytest.mark.req("ADAPT-3003e")
def test_a_list_without_room_is_refused_by_its_name() -> None:
    one_text = TensorSpec("sampling_param_stop", "BYTES", (1,))
    with pytest.raises(AdapterError, match="`sampling_param_stop`") as caught:
        check_room({one_text.name: ["a", "b"]}, {one_text.name: one_text})
    assert caught.value.blames_request
