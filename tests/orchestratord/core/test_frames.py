"""The wire form of a frame, read back by an independent reader."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util.sse import Decoder
from orchestratord.core.frames import frame, token_frame

pytestmark = pytest.mark.req("OC-CTRL-2020", "OC-CTRL-2020a", "OC-CTRL-2020b", "HTU-1004e")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text(min_size=1), index=st.integers(0, 2**31), frame_id=st.integers(1, 2**31))
def test_the_fast_token_frame_is_the_general_one(text: str, index: int, frame_id: int) -> None:
    assert token_frame(frame_id, text, index) == frame(frame_id, "token", {"t": text, "i": index})


@given(data=st.dictionaries(st.text(), json_values, max_size=4), frame_id=st.integers(1, 2**31))
def test_a_frame_reads_back_whole(data: dict[str, object], frame_id: int) -> None:
    encoded = frame(frame_id, "metrics", data)  # type: ignore[arg-type]  # JSON by construction
    assert encoded.count(b"\n") == 4
    (event,) = Decoder().feed(encoded)
    assert (event.id, event.name, json.loads(event.data)) == (str(frame_id), "metrics", data)


@pytest.mark.parametrize("text", ["\n", "\r\n", "\u2028", "\x00", "data: x\n\n", "😀", "é"])
def test_awkward_text_survives(text: str) -> None:
    (event,) = Decoder().feed(token_frame(1, text, 0))
    assert json.loads(event.data) == {"t": text, "i": 0}
