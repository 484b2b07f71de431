"""Responses into events, and what the end of a stream means."""

from __future__ import annotations

import pytest

from adapter_api import DeadlineUnmet, End, FinishReason, Started, Token, TokenEvent, WorkerError, WorkerReset
from adapters.triton.reading import Expected, Reading
from adapters.triton.responses import Response, from_event
from adapters.triton.texts import Cumulative

pytestmark = pytest.mark.req("OC-ADAPT-5060", "OC-ADAPT-5060d")


class Refused(WorkerError):
    """What an error becomes here; tells whether it came first."""


def reading(*, finish_reason: bool = False, max_tokens: int = 16) -> Reading:
    made = Reading(
        from_event,
        lambda tokens_in: Started(tokens_in=tokens_in, seed=7),
        lambda body, is_first: Refused(f"{body!r} {is_first}"),
    )
    made.expect(Expected(finish_reason=finish_reason, max_tokens=max_tokens), Cumulative())
    return made


def played(made: Reading, *responses: Response) -> list[TokenEvent]:
    events: list[TokenEvent] = []
    for response in responses:
        events += made.read(response, sum(isinstance(event, Token) for event in events))
    return [*events, *made.end(sum(isinstance(event, Token) for event in events), 5)]


def test_a_stream_without_a_finish_reason_ends_well_with_its_end() -> None:
    made = reading()
    assert played(made, Response(text="a"), Response(text="ab")) == [
        Started(seed=7),
        Token("a", 0),
        Token("b", 1),
        End(tokens_out=2, decode_time_ms=5),
    ]
    assert made.is_whole


def test_a_response_without_new_text_gives_no_token() -> None:
    assert [event.kind for event in played(reading(), Response(text="a"), Response(text="a"))] == [
        "started",
        "token",
        "end",
    ]


def test_text_that_was_held_back_comes_before_the_end() -> None:
    assert played(reading(), Response(text="a\ufffd"))[1:] == [
        Token("a", 0),
        Token("\ufffd", 1),
        End(tokens_out=2, decode_time_ms=5),
    ]


def test_counts_are_the_models_own() -> None:
    responses = (Response(text="a", tokens_in=4, tokens_out=2), Response(text="ab", tokens_out=3))
    events = played(reading(max_tokens=5), *responses)
    assert events[0] == Started(seed=7, tokens_in=4)
    assert events[-1] == End(tokens_out=5, decode_time_ms=5, tokens_in=4, finish_reason=FinishReason.LENGTH)


@pytest.mark.parametrize(
    ("word", "reason", "kept"),
    [
        ("stop", FinishReason.STOP, None),
        ("length", FinishReason.LENGTH, None),
        ("tired", FinishReason.OTHER, "tired"),
    ],
)
def test_the_models_finish_reason(word: str, reason: FinishReason, kept: str | None) -> None:
    responses = (Response(text="a", finish_reason="None"), Response(text="ab", finish_reason=word))
    end = played(reading(finish_reason=True), *responses)[-1]
    assert isinstance(end, End)
    assert (end.finish_reason, end.engine_finish_reason) == (reason, kept)


@pytest.mark.req("OC-ADAPT-5060e")
@pytest.mark.parametrize(
    ("responses", "kind", "words"),
    [
        ((), WorkerReset, "without an answer"),
        ((Response(is_bare=True),), WorkerReset, "without an answer"),
        ((Response(text="a"),), WorkerReset, "without its finish reason"),
        ((Response(text="a", finish_reason="None"),), WorkerReset, "without its finish reason"),
        ((Response(text="a", finish_reason="cancelled"),), WorkerReset, "gave the request up"),
        ((Response(text="a", finish_reason="abort"),), WorkerReset, "gave the request up"),
        ((Response(text="a", finish_reason="timeout"),), DeadlineUnmet, "ran out of the request's time"),
    ],
)
def test_an_end_that_is_none(responses: tuple[Response, ...], kind: type[WorkerError], words: str) -> None:
    made = reading(finish_reason=True)
    with pytest.raises(kind, match=words) as failed:
        played(made, *responses)
    assert failed.value.retriable
    assert not made.is_whole


def test_an_error_ends_it_and_tells_whether_it_came_first() -> None:
    with pytest.raises(Refused, match="True"):
        played(reading(), Response(error=b"{}"))
    with pytest.raises(Refused, match="False"):
        played(reading(), Response(text="a"), Response(error=b"{}"))
