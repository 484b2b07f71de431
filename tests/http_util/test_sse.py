"""The event codec: any bytes, cut anywhere, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util import sse
from http_util.sse import Decoder, EventTooLarge, ServerEvent
from tests.support.http_wire import cut

pytestmark = pytest.mark.req("HTU-1003")

LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
NAMES = st.sampled_from(["token", "end", "message", "päng"])


def decode(pieces: list[bytes], *, limit: int = 1000) -> list[ServerEvent] | None:
    """Return the events of a body, None if it is refused."""
    decoder = Decoder(max_event_bytes=limit)
    try:
        events = [event for piece in pieces for event in decoder.feed(piece)]
        return events + decoder.close()
    except EventTooLarge:
        return None


def by_the_book(body: bytes) -> list[ServerEvent]:
    """Decode a whole body line by line, as the HTML standard writes it down, and with our two additions."""
    text = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[ServerEvent] = []
    data: list[bytes] = []
    name, number = "message", None
    *lines, rest = text.split(b"\n")
    for line in [*lines, *([] if rest else [b""])]:
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if not line:
            events += [ServerEvent(b"\n".join(data), name, number)] if data else []
            data, name, number = [], "message", None
        elif field in {b"data", b"error"}:
            data.append(value)
            name = "error" if field == b"error" else name
        elif field == b"event":
            name = value.decode(errors="replace") or "message"
        elif field == b"id" and b"\0" not in value:
            number = value.decode(errors="replace")
    return events


LINES = st.sampled_from([
    b"data: x", b"data:y", b"data", b"data:", b"data:  two", b"event: e", b"event:", b"id: 7", b"id: a\0b",
    b"error: {}", b"retry: 5", b": ping", b":", b"foo: bar", b"", b"", "data: \u2028\u0085\u2029é".encode(),
    b"\xff\xfe", b"\xef", b"\xef\xbb\xbf", b"\xef\xbb\xbfdata: z", b"\x00", b"\x0b\x0c\x1c",
])  # fmt: skip
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r", b""])
BODY = st.lists(st.builds(bytes.__add__, LINES, ENDS), max_size=20).map(b"".join)
CUTS = st.lists(st.integers(0, 500), max_size=12)


@pytest.mark.req("HTU-1003a")
@given(BODY, CUTS)
def test_any_fragmentation_decodes_as_the_standard_says(body: bytes, cuts: list[int]) -> None:
    expected = by_the_book(body)

    assert decode([body]) == expected
    assert decode(cut(body, cuts)) == expected
    assert decode([bytes([byte]) for byte in body]) == expected


@given(st.lists(st.tuples(NAMES, LINE, st.none() | st.integers(0, 99)), max_size=8), st.lists(st.integers(0, 999)))
def test_decoding_what_was_encoded_gives_it_back(frames: list[tuple[str, str, int | None]], cuts: list[int]) -> None:
    body = b"".join(sse.encode(name, text.encode(), id=number) for name, text, number in frames)

    expected = [
        ServerEvent(text.encode(), name, None if number is None else str(number)) for name, text, number in frames
    ]
    assert decode(cut(body, cuts)) == expected


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_garbage_raises_nothing_but_its_size(pieces: list[bytes]) -> None:
    decode(pieces, limit=16)


@given(BODY, CUTS, st.integers(1, 40))
def test_too_large_does_not_depend_on_the_fragmentation(body: bytes, cuts: list[int], limit: int) -> None:
    assert decode([body], limit=limit) == decode(cut(body, cuts), limit=limit)


@given(st.lists(st.sampled_from([b"data: abc", b"abc", b"\n", b"data:\n", b"data: x\n", b": c"]), max_size=200))
def test_memory_stays_bounded(pieces: list[bytes]) -> None:
    decoder = Decoder(max_event_bytes=20)
    for piece in pieces:
        try:
            decoder.feed(piece)
        except EventTooLarge:
            break
        assert len(decoder._line) <= 20
        assert len(decoder._data) <= 20


def test_events_before_the_one_that_is_too_large_are_given_first() -> None:
    decoder = Decoder(max_event_bytes=10)

    assert decoder.feed(b"data: a\n\ndata: b\n\ndata: too long\n\ndata: c\n\n") == [
        ServerEvent(b"a"),
        ServerEvent(b"b"),
    ]
    for _ in range(2):
        with pytest.raises(EventTooLarge, match="10 bytes"):
            decoder.feed(b"data: d\n\n")
    with pytest.raises(EventTooLarge):
        decoder.close()


@pytest.mark.req("HTU-1003a")
def test_separators_of_other_alphabets_are_data() -> None:
    text = '{"content":"a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"}'

    assert decode([f"data: {text}\n\n".encode()]) == [ServerEvent(text.encode())]


def test_an_event_is_given_as_soon_as_its_blank_line_has_begun() -> None:
    decoder = Decoder()

    assert decoder.feed(b"data: a\r\n\r") == [ServerEvent(b"a")]
    assert decoder.feed(b"\ndata: b\r\n\r\n") == [ServerEvent(b"b")]


@pytest.mark.req("HTU-1003e")
def test_an_error_line_is_an_event_of_that_name() -> None:
    assert decode([b'error: {"code":500}\n\ndata: [DONE]\n\n']) == [
        ServerEvent(b'{"code":500}', "error"),
        ServerEvent(b"[DONE]"),
    ]


@pytest.mark.parametrize(
    ("body", "last"),
    [(b"data: a\n", [ServerEvent(b"a")]), (b"data: a", []), (b"data: a\ndata: b", []), (b": ping\n", []), (b"", [])],
)
def test_the_end_of_the_body_completes_an_event_of_whole_lines(body: bytes, last: list[ServerEvent]) -> None:
    decoder = Decoder()

    assert decoder.feed(body) == []
    assert decoder.close() == last


def test_heartbeats_are_no_events() -> None:
    assert decode([sse.HEARTBEAT * 3]) == []


@pytest.mark.parametrize("data", [b"a\nb", b"a\r", b"\n"])
def test_a_frame_holds_one_line(data: bytes) -> None:
    with pytest.raises(ValueError, match="one line"):
        sse.encode("token", data)


def test_what_an_engine_said_stays_out_of_the_repr() -> None:
    assert "secret" not in repr(ServerEvent(b"secret"))
