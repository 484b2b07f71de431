"""Chunks of chat and text completions into events, from every kind of server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from adapter_api import (
    AdapterError,
    End,
    FinishReason,
    FrameOrder,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)
from http_util.live import Progress
from http_util.openai_api.answers import FINISH_REASONS, Beginning
from http_util.openai_api.chunks import ChunkReading
from http_util.sse import ServerEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

DONE = b"[DONE]"
USAGE = b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}'


def begin(told: Beginning) -> list[TokenEvent]:
    version = "/".join(found for found in (told.model, told.fingerprint) if found)
    return [Started(engine_version=version or None, tokens_in=told.tokens_in)]


def failure(body: bytes) -> WorkerError:
    return AdapterError(f"completion: {body.decode('utf-8', 'replace')}")


def decode(*frames: bytes, name: str = "message", ends: bool = False) -> list[TokenEvent]:
    """Return the events of these frames and, if the body `ends` after them, of its end."""

    async def main() -> list[TokenEvent]:
        await trio.lowlevel.checkpoint()  # the reader's clock is Trio's
        reading, so_far, events, order = ChunkReading(begin, failure), Progress(), list[TokenEvent](), FrameOrder()

        def take(batch: Iterable[TokenEvent]) -> None:
            for event in batch:
                order.accept(event)
                events.append(event)
                if isinstance(event, Token):
                    so_far.count()

        for frame in frames:
            if not order.is_done:  # what follows the end is not looked at
                take(reading(ServerEvent(frame, name), so_far))
        if ends and not order.is_done:
            take(reading.at_end(so_far))
        assert reading.is_over is order.is_done
        return events

    return trio.run(main)


def text(words: str, why: str | None = None) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "text": words, "finish_reason": why}]})


def delta(why: str | None = None, **fields: object) -> bytes:
    return msgspec.json.encode({"choices": [{"index": 0, "delta": fields, "finish_reason": why}]})


def end_of(events: list[TokenEvent]) -> End:
    end = events[-1]
    assert isinstance(end, End)
    return end


@pytest.mark.req("OC-ADAPT-OAI-6006", "OC-ADAPT-OAI-6006b")
def test_texts_become_tokens_and_counts_come_in_a_chunk_of_their_own() -> None:
    events = decode(text(" one"), text(" two"), text("", "length"), USAGE, DONE)
    assert events == [
        Started(),
        Token(" one", 0),
        Token(" two", 1),
        End(tokens_out=5, decode_time_ms=end_of(events).decode_time_ms, finish_reason=FinishReason.LENGTH, tokens_in=3),
    ]


def test_a_chat_begins_with_a_role_and_ends_with_an_empty_delta() -> None:
    frames = (delta(role="assistant", content=""), delta(content="Hi"), delta(role="assistant", content=None))
    assert decode(*frames, delta("stop"), DONE)[:-1] == [Started(), Token("Hi", 0)]


def test_the_first_chunk_with_a_choice_begins_the_answer() -> None:
    filters = b'{"choices":[],"model":"","prompt_filter_results":[{"index":0}]}'
    first = b'{"model":"m","system_fingerprint":"fp","choices":[{"index":0,"text":"a"}],"usage":{"prompt_tokens":9}}'
    assert decode(filters, first) == [Started(engine_version="m/fp", tokens_in=9), Token("a", 0)]


@pytest.mark.req("OC-ADAPT-OAI-6006b")
def test_counts_may_be_in_every_chunk_or_in_none() -> None:
    counted = (
        b'{"choices":[{"index":0,"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":7}}'
    )
    assert (end_of(decode(counted, DONE)).tokens_in, end_of(decode(counted, DONE)).tokens_out) == (2, 7)
    uncounted = end_of(decode(text("a"), text(""), text("b", "stop"), DONE))
    assert (uncounted.tokens_in, uncounted.tokens_out) == (None, 2)


def test_what_counts_are_made_of_is_told_before_the_end() -> None:
    usage = (
        b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":2},'
        b'"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0}}}'
    )
    assert decode(text("a", "stop"), usage, DONE)[-2] == Metrics({"prompt_tokens_cached": 2, "reasoning_tokens": 4})


@pytest.mark.req("OC-ADAPT-OAI-6005")
def test_done_without_a_reason_is_no_success() -> None:
    for frames in ((DONE,), (text("a"), DONE), (text("a", ""), USAGE, DONE)):
        with pytest.raises(WorkerReset, match="without a reason to finish"):
            decode(*frames)


@pytest.mark.req("OC-ADAPT-OAI-6005")
def test_the_end_of_the_body_is_success_only_after_a_reason() -> None:
    assert end_of(decode(text("a"), text("", "stop"), USAGE, ends=True)).tokens_out == 5
    assert decode(text("a"), ends=True)[-1] == Token("a", 0)


@pytest.mark.req("OC-ADAPT-OAI-6005")
def test_an_error_after_the_reason_is_still_one() -> None:
    with pytest.raises(AdapterError):
        decode(text("a", "stop"), b'{"error":{"message":"late"}}', DONE)


@pytest.mark.req("OC-ADAPT-OAI-6005a")
@pytest.mark.parametrize(("word", "reason"), FINISH_REASONS.items())
def test_reasons_are_translated(word: str, reason: FinishReason) -> None:
    end = end_of(decode(delta(word, content="a"), DONE))
    assert (end.finish_reason, end.engine_finish_reason) == (reason, None)


@pytest.mark.req("OC-ADAPT-OAI-6005a")
@pytest.mark.parametrize("word", ["repetition", "Stop", "eos"])
def test_an_unknown_reason_is_kept(word: str) -> None:
    end = end_of(decode(text("a", word), DONE))
    assert (end.finish_reason, end.engine_finish_reason) == (FinishReason.OTHER, word)


@pytest.mark.req("OC-ADAPT-OAI-6005a", "OC-ADAPT-5020c")
def test_an_aborted_request_did_not_end_well() -> None:
    with pytest.raises(WorkerReset, match="aborted"):
        decode(text("a"), text("", "abort"), DONE)


@pytest.mark.req("OC-ADAPT-OAI-6006a", "OC-ADAPT-5020e")
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_thoughts_are_counted_and_not_said(field: str) -> None:
    frames = (delta(role="assistant", content=""), delta(**{field: "hm, "}), delta(content=None, **{field: "so"}))
    assert decode(*frames, delta(content="Yes"), delta("stop"), DONE)[:-1] == [
        Started(),
        Metrics({"reasoning_chars": 4}),
        Metrics({"reasoning_chars": 6}),
        Token("Yes", 0),
    ]


def test_a_refusal_is_what_the_model_says() -> None:
    assert decode(delta(refusal="I cannot"), delta("stop"), DONE)[1] == Token("I cannot", 0)


@pytest.mark.req("OC-ADAPT-OAI-6006")
def test_only_the_first_answer_is_read() -> None:
    other = b'{"choices":[{"index":1,"text":"no","finish_reason":"length"},{"index":0,"text":"yes"}]}'
    assert end_of(decode(other, text("", "stop"), DONE)).finish_reason is FinishReason.STOP
    assert decode(other)[1:] == [Token("yes", 0)]


@pytest.mark.parametrize("none", [b"null", b"false", b'""', b"{}"])
def test_an_error_that_is_empty_is_none(none: bytes) -> None:
    assert decode(b'{"choices":[{"text":"a"}],"error":%b}' % none) == [Started(), Token("a", 0)]


@pytest.mark.parametrize("error", [b'{"code":500}', b'"boom"', b"[1]", b"1", b"true"])
def test_an_error_is_seen_before_anything_else(error: bytes) -> None:
    with pytest.raises(AdapterError):
        decode(b'{"choices":[{"text":"a","finish_reason":"stop"}],"error":%b}' % error)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b'{"error":{"message":"m"}}', '{"error":{"message":"m"}}'),
        (b'{"message":"m","type":"error"}', '{"error":{"message":"m","type":"error"}}'),
        (b'{"choices":[]}', '{"error":{"choices":[]}}'),
    ],
)
def test_an_event_that_is_named_error_is_one_in_either_shape(data: bytes, body: str) -> None:
    with pytest.raises(AdapterError) as caught:
        decode(data, name="error")
    assert caught.value.message == f"completion: {body}"


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b"1", b"{}", b'{"id":"x"}', b'{"choices":1}', b'{"choices":[{"text":1}]}', b'{"choices":[[]]}'],
)
def test_a_frame_that_is_none_is_told(frame: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode(frame)


@pytest.mark.parametrize("done", [b"[DONE]", b" [DONE] ", b"[DONE]\t"])
def test_done_may_have_spaces_around_it(done: bytes) -> None:
    assert end_of(decode(text("a", "stop"), done)).tokens_out == 1


PARTS = st.recursive(st.none() | st.text(max_size=4) | st.integers(0, 3), st.lists, max_leaves=4)
CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(0, 1),
                    "text": st.none() | st.text(max_size=3),
                    "delta": st.none()
                    | st.fixed_dictionaries(
                        {}, optional={name: st.none() | st.text(max_size=3) for name in ("content", "reasoning")}
                    ),
                    "finish_reason": st.sampled_from([None, "", "stop", "length", "abort", "odd"]),
                },
            ),
            max_size=2,
        ),
        "usage": st.none() | st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9)}),
        "error": st.sampled_from([None, {}, "", "boom", {"message": "m"}]),
        "junk": PARTS,
    },
)


@pytest.mark.req("ADAPT-3010")
@given(frames=st.lists(st.just(DONE) | CHUNKS.map(msgspec.json.encode), max_size=5), ends=st.booleans())
def test_any_chunks_give_a_legal_order_or_one_of_the_documented_errors(frames: list[bytes], ends: bool) -> None:
    with contextlib.suppress(WorkerError, ValueError, msgspec.MsgspecError):
        decode(*frames, ends=ends)


@given(frame=st.binary(max_size=60) | PARTS.map(msgspec.json.encode))
@example(frame=b'{"choices":[{"text":"\\ud800"}]}')
def test_any_bytes_give_events_or_one_of_the_documented_errors(frame: bytes) -> None:
    with contextlib.suppress(WorkerError, ValueError, msgspec.MsgspecError):
        decode(frame)
