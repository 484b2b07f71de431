"""What is asked of TGI, and what its frames mean."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapter_api import (
    AdapterError,
    End,
    FinishReason,
    FrameOrder,
    Sampling,
    Started,
    TaskId,
    TaskRequest,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)
from adapters.tgi import mapping
from conformance.engines.tgi import requests, validation
from http_util.live import Progress
from http_util.sse import ServerEvent

SAMPLERS = ("do_sample", "temperature", "top_p", "top_k")


def task(**sampling: object) -> TaskRequest:
    return TaskRequest(task_id=TaskId("t"), prompt="Hi", max_tokens=8, sampling=Sampling(**sampling))  # type: ignore[arg-type]


def drawing(**sampling: object) -> dict[str, object]:
    parameters = mapping.parameters(task(**sampling), 1, None)
    return {name: value for name, value in parameters.items() if name in SAMPLERS}


@pytest.mark.req("OC-ADAPT-5040i", "OC-ADAPT-5040k", "ADAPT-3003a")
def test_everything_given_is_sent_under_the_engines_names() -> None:
    request = task(
        temperature=0.7,
        top_p=0.9,
        top_k=40,
        repeat_penalty=1.1,
        frequency_penalty=0.5,
        stop=("\n", "END"),
    )
    assert mapping.parameters(request, 7, "poet") == {
        "max_new_tokens": 8,
        "details": True,
        "return_full_text": False,
        "seed": 7,
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.5,
        "stop": ("\n", "END"),
        "adapter_id": "poet",
    }


@pytest.mark.req("ADAPT-3003a")
def test_what_is_not_given_is_not_sent() -> None:
    parameters = mapping.parameters(task(), 7, None)
    assert parameters.keys() == {"max_new_tokens", "details", "return_full_text", "seed", "do_sample"}
    assert parameters["do_sample"] is False  # the engine's own default once there are parameters


@pytest.mark.req("OC-ADAPT-5040d")
@pytest.mark.parametrize(
    ("sampling", "sent"),
    [
        ({"temperature": 0.0}, {"do_sample": False}),
        ({"temperature": 0, "top_p": 0.5, "top_k": 4, "min_p": 0.3}, {"do_sample": False}),
        ({"temperature": 0.5, "top_p": 1.0}, {"do_sample": True, "temperature": 0.5}),
        ({"temperature": 1.0, "top_k": 0}, {"do_sample": True, "temperature": 1.0}),
        ({"top_p": 1, "top_k": 0}, {"do_sample": False}),
        ({"top_p": 0.4}, {"do_sample": True, "top_p": 0.4}),
        ({"top_k": 3}, {"do_sample": True, "top_k": 3}),
    ],
)
def test_values_the_engine_refuses_become_what_they_mean(sampling: dict[str, float], sent: dict[str, object]) -> None:
    assert drawing(**sampling) == sent


@given(
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    top_k=st.none() | st.integers(0, 100),
)
@pytest.mark.req("OC-ADAPT-5040d")
def test_nothing_is_sent_that_the_engine_refuses(
    temperature: float | None, top_p: float | None, top_k: int | None
) -> None:
    sent = mapping.parameters(task(temperature=temperature, top_p=top_p, top_k=top_k), 1, None)
    assert sent.get("temperature", 1) != 0
    assert sent.get("top_p", 0.5) != 1
    assert sent.get("top_k", 1) != 0
    if temperature == 0:  # a cut would make the engine draw
        assert sent["do_sample"] is False
        assert not {"top_p", "top_k"} & sent.keys()


ASKED = st.builds(
    Sampling,
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    top_k=st.none() | st.integers(0, 2**31 - 1),
    min_p=st.none() | st.just(0.0),
    repeat_penalty=st.none() | st.floats(0, 2, exclude_min=True),
    presence_penalty=st.none() | st.just(0.0),
    frequency_penalty=st.none() | st.floats(-2, 2),
    stop=st.lists(st.text(min_size=1), max_size=4).map(tuple),
)


@given(ASKED, st.integers())
@pytest.mark.req("OC-ADAPT-5040d", "ADAPT-3003a")
def test_the_engine_takes_whatever_the_service_lets_through(sampling: Sampling, seed: int) -> None:
    """Held against the double, which validates as the engine does; it draws only where drawing was asked for."""
    request = TaskRequest(task_id=TaskId("t"), max_tokens=8, sampling=sampling)
    body = json.dumps({"inputs": "Hi", "parameters": mapping.parameters(request, seed, None)}).encode()
    asked = requests.read_native(body, "application/json", is_stream=True)
    validation.validate(asked, validation.Limits(1024, 2048))
    if mapping.is_greedy(sampling):
        assert not asked.parameters.draws
    elif sampling.temperature is not None:
        assert asked.parameters.draws


@pytest.mark.req("OC-ADAPT-5040e")
@pytest.mark.parametrize("field", ["min_p", "presence_penalty"])
def test_what_the_engine_does_not_have_is_refused_by_name(field: str) -> None:
    with pytest.raises(AdapterError, match=f"`{field}`") as caught:
        drawing(**{field: 0.1})
    assert caught.value.blames_request
    assert drawing(**{field: 0.0}) == {"do_sample": False}


@given(st.integers())
@pytest.mark.req("OC-ADAPT-5040k")
def test_any_seed_fits_into_the_engines_64_bits(seed: int) -> None:
    sent = mapping.engine_seed(seed)
    assert 0 <= sent < 2**64
    assert sent == seed or not 0 <= seed < 2**64


# --- frames


def frame(text: str, *, special: bool = False, whole: str | None = None, **details: object) -> bytes:
    return json.dumps(
        {
            "index": 1,
            "token": {"id": 5, "text": text, "logprob": -0.1, "special": special},
            "generated_text": whole,
            "details": details or None,
        },
        ensure_ascii=False,
    ).encode()


def read(*frames: bytes) -> list[TokenEvent]:
    """Return the events of these frames, which have passed the order machine."""

    async def main() -> list[TokenEvent]:
        await trio.lowlevel.checkpoint()
        reading = mapping.Reading(lambda: Started(seed=1), failed)
        progress, order, events = Progress(), FrameOrder(), list[TokenEvent]()
        for data in frames:
            for event in reading(ServerEvent(data), progress):
                order.accept(event)
                events.append(event)
                if isinstance(event, Token):
                    progress.count()
        assert reading.is_over is order.is_done
        return events

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def failed(body: bytes) -> WorkerError:
    return WorkerReset(body.decode())


def text_of(events: list[TokenEvent]) -> str:
    return "".join(event.t for event in events if isinstance(event, Token))


def end_of(events: list[TokenEvent]) -> End:
    assert isinstance(events[-1], End)
    return events[-1]


@pytest.mark.req("OC-ADAPT-5040a", "OC-ADAPT-5040b", "ADAPT-3003")
def test_a_stream_ends_with_a_special_token_that_is_not_shown() -> None:
    events = read(
        frame(" the"),
        frame(
            "</s>", special=True, whole=" the", finish_reason="eos_token", generated_tokens=2, seed=7, input_length=3
        ),
    )
    assert events[0] == Started(seed=1)
    assert text_of(events) == " the"
    assert end_of(events) == End(tokens_out=2, decode_time_ms=end_of(events).decode_time_ms, tokens_in=3)


@pytest.mark.req("OC-ADAPT-5040g")
def test_a_frame_without_text_starts_the_stream_and_gives_no_token() -> None:
    assert read(frame("")) == [Started(seed=1)]
    events = read(frame(""), frame("é"), frame("", whole="é", finish_reason="length"))
    assert text_of(events) == "é"


@pytest.mark.req("OC-ADAPT-5040a", "ADAPT-3010b")
def test_an_answer_may_be_empty() -> None:
    events = read(frame("</s>", special=True, whole="", finish_reason="eos_token", generated_tokens=1))
    assert [type(event) for event in events] == [Started, End]


@pytest.mark.req("OC-ADAPT-5040a")
def test_a_last_frame_with_a_text_gives_it_before_the_end() -> None:
    events = read(frame("a"), frame("b", whole="ab", finish_reason="length", generated_tokens=2, input_length=1))
    assert text_of(events) == "ab"
    assert end_of(events).finish_reason is FinishReason.LENGTH


@pytest.mark.req("ADAPT-3001d")
def test_what_the_whole_text_has_more_is_given() -> None:
    assert text_of(read(frame("a"), frame("", whole="a\ufffd", finish_reason="length"))) == "a\ufffd"
    assert text_of(read(frame("", whole="\ufffd", finish_reason="length"))) == "\ufffd"


@pytest.mark.req("ADAPT-3001d")
def test_a_whole_text_that_differs_changes_nothing() -> None:
    assert text_of(read(frame(" a"), frame("b", whole="xyz", finish_reason="length"))) == " ab"


@pytest.mark.req("OC-ADAPT-5040j", "ADAPT-3010h")
@pytest.mark.parametrize(
    ("word", "reason", "kept"),
    [
        ("eos_token", FinishReason.STOP, None),
        ("stop_sequence", FinishReason.STOP, None),
        ("stop", FinishReason.STOP, None),
        ("length", FinishReason.LENGTH, None),
        ("tired", FinishReason.OTHER, "tired"),
    ],
)
def test_finish_reasons_have_one_vocabulary(word: str, reason: FinishReason, kept: str | None) -> None:
    end = end_of(read(frame("a", whole="a", finish_reason=word)))
    assert (end.finish_reason, end.engine_finish_reason) == (reason, kept)


@pytest.mark.req("ADAPT-3010f")
def test_without_details_frames_are_counted_and_the_reason_is_unknown() -> None:
    end = end_of(read(frame("a"), frame(""), frame("</s>", special=True, whole="a")))
    assert (end.tokens_out, end.tokens_in, end.finish_reason) == (3, None, FinishReason.OTHER)


@pytest.mark.req("OC-ADAPT-5040c")
@pytest.mark.parametrize("error", ['"Model is overloaded"', '{"message":"x"}', "true"])
def test_an_error_in_a_frame_is_raised_with_its_whole_body(error: str) -> None:
    with pytest.raises(WorkerReset, match="error"):
        read(frame("a"), b'{"error":%b,"error_type":"overloaded"}' % error.encode())


@pytest.mark.parametrize("body", [b"{}", b'{"error":null}', b"[]", b"nope", b'{"token":{"id":1}}', b'{"token":5}'])
def test_what_is_no_frame_is_no_event(body: bytes) -> None:
    with pytest.raises(ValueError):
        read(body)


@given(st.lists(st.tuples(st.text(max_size=6), st.booleans()), min_size=1), st.text(max_size=3))
@pytest.mark.req("ADAPT-3001d", "OC-ADAPT-5040b")
def test_tokens_joined_are_the_engines_text(tokens: list[tuple[str, bool]], flushed: str) -> None:
    shown = [text for text, is_special in tokens if not is_special]
    whole = "".join(shown) + flushed
    frames = [frame(text, special=special) for text, special in tokens[:-1]]
    last, is_special = tokens[-1]
    events = read(*frames, frame(last, special=is_special, whole=whole, finish_reason="length"))
    assert text_of(events) == whole
    indices = [event.i for event in events if isinstance(event, Token)]
    assert all(later == earlier + 1 for earlier, later in pairwise(indices))
