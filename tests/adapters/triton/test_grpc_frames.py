"""Messages in their prefixes, and farewells taken out of a connection."""

from __future__ import annotations

import struct

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, PingFrame
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError
from adapters.triton.grpc_frames import Farewells, MessageDecoder, framed
from http_util.sse import EventTooLarge

pytestmark = pytest.mark.req("OC-ADAPT-5060")


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in [*sizes, len(data)]:
        pieces.append(data[start : start + size])
        start += size
    return pieces


SIZES = st.lists(st.integers(0, 12), max_size=60)


@given(messages=st.lists(st.binary(max_size=30), max_size=6), sizes=SIZES)
def test_messages_come_out_whole_however_they_are_cut(messages: list[bytes], sizes: list[int]) -> None:
    decoder = MessageDecoder("completion")
    wire = b"".join(map(framed, messages))
    found = [event.data for piece in cut(wire, sizes) for event in decoder.feed(piece)]
    assert found == messages
    assert decoder.close() == []


@pytest.mark.req("OC-ADAPT-5060i")
def test_a_compressed_message_is_refused() -> None:
    with pytest.raises(AdapterError, match="compressed message that was not asked for"):
        MessageDecoder("completion").feed(struct.pack(">BI", 1, 4) + b"abcd")


@pytest.mark.req("OC-ADAPT-5060i")
def test_a_message_that_is_too_long_is_refused_by_its_length_alone() -> None:
    decoder = MessageDecoder("completion", max_message_bytes=10)
    assert [event.data for event in decoder.feed(framed(b"0123456789"))] == [b"0123456789"]
    with pytest.raises(EventTooLarge, match="more than 10 bytes"):
        decoder.feed(struct.pack(">BI", 0, 11))


def test_an_end_inside_a_message_is_told() -> None:
    decoder = MessageDecoder("completion")
    decoder.feed(framed(b"abc")[:-1])
    with pytest.raises(AdapterError, match="ended inside a message"):
        decoder.close()


FRAMES = st.lists(
    st.one_of(
        st.builds(lambda data: DataFrame(1, data), st.binary(max_size=20)),
        st.builds(lambda data: PingFrame(0, data), st.binary(min_size=8, max_size=8)),
        st.builds(
            lambda last, more: GoAwayFrame(0, last_stream_id=last, additional_data=more),
            st.integers(0, 2**31 - 1),
            st.binary(max_size=9),
        ),
    ),
    max_size=6,
)


@given(frames=FRAMES, sizes=SIZES)
def test_everything_but_farewells_passes_on_unchanged(frames: list[Frame], sizes: list[int]) -> None:
    farewells = Farewells()
    wire = b"".join(frame.serialize() for frame in frames)
    passed = b"".join(farewells.pass_on(piece) for piece in cut(wire, sizes))
    assert passed == b"".join(frame.serialize() for frame in frames if not isinstance(frame, GoAwayFrame))
    said = [frame.last_stream_id for frame in frames if isinstance(frame, GoAwayFrame)]
    assert farewells.last_stream == (said[-1] if said else None)


def test_why_farewells_are_taken_out() -> None:
    """The library ends a whole connection at a farewell, though the server goes on with what it took."""
    server = H2Connection(H2Configuration(client_side=False))
    client = H2Connection()
    client.initiate_connection()
    client.send_headers(1, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "x")])
    server.receive_data(client.data_to_send())
    server.send_headers(1, [(":status", "200")])
    client.receive_data(server.data_to_send() + GoAwayFrame(0, last_stream_id=1).serialize())
    server.send_data(1, b"more")
    with pytest.raises(Exception, match="Invalid input"):
        client.receive_data(server.data_to_send())
