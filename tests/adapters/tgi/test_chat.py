"""A chat's prompt is the template's text, without a special token that the tokenizer adds again."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, Message, Sampling, TaskId, TaskRequest
from adapters.tgi import chat
from conformance.engines.tgi import requests
from conformance.engines.tgi import tokens as tokenizer

pytestmark = pytest.mark.req("OC-ADAPT-5040f")

BOS, ADDED = 1, {"id": 1, "text": "", "start": 0, "stop": 0}


def tokens(*views: dict[str, object]) -> list[chat.TokenView]:
    return msgspec.convert(views, list[chat.TokenView])


def templated(text: str, *views: dict[str, object]) -> chat.Templated:
    return chat.Templated(text, tokens(*views))


def test_a_chat_names_the_model_or_the_adapter() -> None:
    body = chat.template((Message("user", "Hi"),), None)
    assert body == {"model": "tgi", "messages": [{"role": "user", "content": "Hi"}]}
    assert chat.template((), "poet")["model"] == "poet"


def test_what_stands_nowhere_at_the_start_was_added() -> None:
    assert chat.added_before(tokens(ADDED, {"id": 9, "start": 0, "stop": 1})) == (BOS,)
    assert chat.added_before(tokens({"id": 9, "start": 0, "stop": 1}, {**ADDED, "id": 2})) == ()
    assert chat.added_before(tokens(ADDED)) == ()  # nothing of the text is there: no way to tell
    assert chat.added_before([]) == ()


def test_a_token_that_is_added_anyway_is_taken_off_the_text() -> None:
    made = templated("<s>[INST] Hi", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 9})
    assert chat.prompt(made, (BOS,)) == "[INST] Hi"


def test_characters_are_counted_and_not_bytes() -> None:
    made = templated("«é»user", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 7})
    assert chat.prompt(made, (BOS,)) == "user"


@pytest.mark.parametrize("added", [(), (2,), (1, 2), (1, 50, 60)])
def test_a_text_that_begins_otherwise_stays_whole(added: tuple[int, ...]) -> None:
    made = templated("<s>Hi", {"id": 1, "start": 0, "stop": 3}, {"id": 50, "start": 3, "stop": 5})
    assert chat.prompt(made, added) == "<s>Hi"


def task(**sampling: object) -> TaskRequest:
    return TaskRequest(
        task_id=TaskId("t"),
        messages=(Message("user", "Hi"),),
        max_tokens=8,
        sampling=Sampling(**sampling),  # type: ignore[arg-type]
    )


def test_the_openai_route_is_asked_in_its_own_words() -> None:
    request = task(temperature=0.5, top_p=0.9, frequency_penalty=0.1, stop=("END",), repeat_penalty=1.0, min_p=0.0)
    assert chat.completion(request, 2**64 + 7, None) == {
        "model": "tgi",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 8,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "frequency_penalty": 0.1,
        "stop": ("END",),
    }


@pytest.mark.req("OC-ADAPT-5040d")
def test_a_greedy_chat_keeps_temperature_0_and_no_cut() -> None:
    body = chat.completion(task(temperature=0, top_p=0.5, top_k=3), 1, None)
    assert body["temperature"] == 0
    assert not {"top_p", "top_k"} & body.keys()
    assert "top_p" not in chat.completion(task(temperature=1, top_p=1.0), 1, None)


@pytest.mark.req("OC-ADAPT-5040e")
@pytest.mark.parametrize("field", ["top_k", "min_p", "repeat_penalty", "presence_penalty"])
def test_what_the_openai_route_cannot_do_is_refused_by_name(field: str) -> None:
    with pytest.raises(AdapterError, match=f"`{field}`") as caught:
        chat.completion(task(**{field: 2}), 1, None)
    assert caught.value.blames_request


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=20)), min_size=1))
def test_the_native_route_makes_the_very_tokens_of_the_chat_route(turns: list[tuple[str, str]]) -> None:
    """Held against the double's tokenizer, which finds special tokens in a text as the real ones do."""
    body = json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}).encode()
    chat_route = requests.read_chat(body, "application/json", has_template=True)
    pieces = tokenizer.tokenize(chat_route.prompt, adds_bos=False)
    made = chat.Templated(chat_route.prompt, [chat.TokenView(piece.id, piece.start, piece.stop) for piece in pieces])
    sent = chat.prompt(made, (tokenizer.BOS,))
    assert tokenizer.ids(tokenizer.tokenize(sent, adds_bos=True)) == chat_route.tokens
