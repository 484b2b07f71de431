"""Events of the Responses API into ours."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import (
    ERROR_KINDS,
    AdapterError,
    End,
    FinishReason,
    FrameOrder,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
)
from http_util.live import Progress
from http_util.openai_api.responses import ResponseReading
from http_util.sse import ServerEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from http_util.openai_api.answers import Beginning

pytestmark = pytest.mark.req("OC-ADAPT-OAI-6007")

CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "m", "status": "in_progress", "error": None},
}
ITEM = {"type": "response.output_item.added", "item": {"type": "message"}, "sequence_number": 2}
USAGE = {"input_tokens": 3, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 4}}


def failure(body: bytes) -> WorkerError:
    return AdapterError(body.decode("utf-8", "replace"))


def decode(*frames: Mapping[str, object] | bytes, ends: bool = False) -> list[TokenEvent]:
    async def main() -> list[TokenEvent]:
        await trio.lowlevel.checkpoint()  # the reader's clock is Trio's

        def begin(told: Beginning) -> list[TokenEvent]:
            return [Started(engine_version=told.model)]

        reading, so_far, events, order = ResponseReading(begin, failure), Progress(), list[TokenEvent](), FrameOrder()
        for frame in frames:
            if order.is_done:  # what follows the end is not looked at
                break
            data = frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
            for event in reading(ServerEvent(data, "whatever"), so_far):
                order.accept(event)
                events.append(event)
                if isinstance(event, Token):
                    so_far.count()
        events += reading.at_end(so_far) if ends and not order.is_done else ()
        assert reading.is_over is order.is_done
        return events

    return trio.run(main)


def delta(words: object, kind: str = "response.output_text.delta") -> dict[str, object]:
    return {"type": kind, "delta": words, "sequence_number": 3}


def last(kind: str, **response: object) -> dict[str, object]:
    return {"type": kind, "response": {"id": "resp_1", "model": "m", "usage": USAGE, **response}}


def end_of(events: list[TokenEvent]) -> End:
    end = events[-1]
    assert isinstance(end, End)
    return end


def test_an_answer_from_its_creation_to_its_completion() -> None:
    queued, done = (
        {"type": "response.queued", "response": {"model": "m"}},
        {"type": "response.output_text.done", "text": "x"},
    )
    events = decode(CREATED, queued, ITEM, delta("One"), delta(" two"), done, last("response.completed"), b"[DONE]")
    assert events[:-1] == [
        Started(engine_version="m"),
        Token("One", 0),
        Token(" two", 1),
        Metrics({"reasoning_tokens": 4}),
    ]
    end = end_of(events)
    assert (end.tokens_in, end.tokens_out, end.finish_reason) == (3, 5, FinishReason.STOP)


@pytest.mark.parametrize(
    ("kind", "details", "reason", "word"),
    [
        ("response.incomplete", {"reason": "max_output_tokens"}, FinishReason.LENGTH, None),
        ("response.incomplete", {"reason": "content_filter"}, FinishReason.CONTENT_FILTER, None),
        ("response.incomplete", {"reason": "odd"}, FinishReason.OTHER, "odd"),
        ("response.incomplete", None, FinishReason.OTHER, "incomplete"),
        ("response.completed", {"reason": "max_output_tokens"}, FinishReason.LENGTH, None),  # vLLM 0.32
        ("response.completed", None, FinishReason.STOP, None),
    ],
)
def test_an_incomplete_answer_is_no_failure(
    kind: str, details: dict[str, object] | None, reason: FinishReason, word: str | None
) -> None:
    end = end_of(decode(CREATED, delta("a"), last(kind, incomplete_details=details)))
    assert (end.finish_reason, end.engine_finish_reason) == (reason, word)


def test_an_answer_may_begin_with_its_text_or_with_its_end() -> None:
    assert decode(delta("a")) == [Started(), Token("a", 0)]
    assert decode(last("response.completed", usage=None))[0] == Started(engine_version="m")


@pytest.mark.req("OC-ADAPT-OAI-6006a")
def test_thoughts_are_counted_and_refusals_said() -> None:
    kinds = ("response.reasoning_text.delta", "response.reasoning_summary_text.delta", "response.refusal.delta")
    events = decode(CREATED, *(delta("abc", kind) for kind in kinds))
    assert events[1:] == [Metrics({"reasoning_chars": 3}), Metrics({"reasoning_chars": 6}), Token("abc", 0)]


def test_other_deltas_are_not_said() -> None:
    kinds = ("response.function_call_arguments.delta", "response.audio.delta", "response.unheard.of")
    assert decode(CREATED, *(delta({"odd": 1}, kind) for kind in kinds), delta("")) == [Started(engine_version="m")]


@pytest.mark.parametrize("ended", [(), (b"[DONE]",), ({"type": "response.output_item.done"},)])
def test_nothing_else_ends_an_answer(ended: tuple[Mapping[str, object] | bytes, ...]) -> None:
    assert decode(CREATED, delta("a"), *ended, ends=True)[-1] == Token("a", 0)


ERROR = {"code": "rate_limit_exceeded", "message": "slow"}
NOTHING = '{"error":{"type":"response.failed","code":null,"message":null}}'
TOLD = '{"error":{"type":"response.failed","code":"rate_limit_exceeded","message":"slow"}}'


@pytest.mark.parametrize(
    ("frame", "body"),
    [
        ({"type": "response.failed", "response": {"error": ERROR}}, TOLD),
        ({"type": "error", **ERROR, "param": None, "sequence_number": 1}, TOLD),
        ({"type": "error", "error": ERROR}, TOLD),
        ({"error": ERROR}, TOLD),
        ({"type": "response.failed", "response": {"error": None}}, NOTHING),
        ({"error": "boom"}, '{"error":{"type":"response.failed","code":null,"message":"boom"}}'),
    ],
)
def test_a_failure_comes_in_one_shape(frame: Mapping[str, object], body: str) -> None:
    with pytest.raises(AdapterError) as caught:
        decode(CREATED, delta("a"), frame)
    assert caught.value.message == body


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"[]", b"{}", b'{"type":1}', b'{"type":"response.output_text.delta","delta":1}']
)
def test_an_event_that_is_none_is_told(frame: bytes) -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        decode(frame)


KINDS = st.sampled_from([
    "response.created",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.output_text.delta",
    "response.reasoning_text.delta",
    "error",
    "odd",
])
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": KINDS,
        "delta": st.none() | st.text(max_size=3) | st.lists(st.none(), max_size=1),
        "response": st.none() | st.fixed_dictionaries({}, optional={"error": st.none() | st.text(max_size=2)}),
        "error": st.none() | st.text(max_size=2) | st.just({"code": "c"}),
        "code": st.none() | st.text(max_size=2) | st.integers(0, 1),
    },
)


@pytest.mark.req("ADAPT-3010")
@given(frames=st.lists(EVENTS | st.just(b"[DONE]") | st.binary(max_size=9), max_size=5))
def test_any_events_give_a_legal_order_or_one_of_the_documented_errors(
    frames: list[Mapping[str, object] | bytes],
) -> None:
    with contextlib.suppress(*ERROR_KINDS.values(), ValueError, msgspec.MsgspecError):
        decode(*frames)
