"""Requests as bodies of the OpenAI routes: exactly what was asked for, under the server's own names, or a refusal."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, Message, Sampling, TaskId, TaskRequest
from http_util.openai_api import bodies
from http_util.openai_api.bodies import Dialect

if TYPE_CHECKING:
    from adapter_api import JsonValue

CHAT = (Message("system", "be nice"), Message("user", "hi"))
ALL = Sampling(
    temperature=0.25,
    top_p=0.5,
    top_k=3,
    min_p=0.125,
    repeat_penalty=1.5,
    presence_penalty=0.75,
    frequency_penalty=-0.5,
    stop=("END", "\n\n"),
)
RICH = Dialect(sampling={**bodies.STANDARD, "top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"})
NAMES = [field.name for field in fields(Sampling)]
USAGE = {"include_usage": True}


def request(**given: object) -> TaskRequest:
    return TaskRequest(**{"task_id": TaskId("t"), "prompt": "Hi", **given})  # type: ignore[arg-type]


@pytest.mark.req("OC-ADAPT-OAI-6003")
def test_a_completion_has_what_was_asked_for_and_nothing_else() -> None:
    assert bodies.completion(request(max_tokens=9), Dialect(), model="m", seed=7) == {
        "model": "m",
        "prompt": "Hi",
        "max_tokens": 9,
        "seed": 7,
        "stream": True,
        "stream_options": USAGE,
    }


@pytest.mark.req("OC-ADAPT-OAI-6003")
def test_every_sampling_field_goes_under_the_servers_name() -> None:
    body = bodies.completion(request(sampling=ALL), RICH, model=None, seed=None)
    assert body == {
        "prompt": "Hi",
        "max_tokens": 16,
        "stream": True,
        "stream_options": USAGE,
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 3,
        "min_p": 0.125,
        "repetition_penalty": 1.5,
        "presence_penalty": 0.75,
        "frequency_penalty": -0.5,
        "stop": ("END", "\n\n"),
    }


@pytest.mark.req("OC-ADAPT-OAI-6004")
@given(names=st.sets(st.sampled_from(NAMES)))
def test_a_field_without_a_name_is_refused_by_its_own(names: set[str]) -> None:
    dialect = {name: name for name in NAMES if name not in names}
    asked = replace(Sampling(), **{name: getattr(ALL, name) for name in names})
    if not names:
        assert bodies.sampling_fields(asked, dialect) == {}
        return
    with pytest.raises(AdapterError) as caught:
        bodies.sampling_fields(asked, dialect)
    assert caught.value.blames_request
    assert any(f"`{name}`" in caught.value.message for name in names)


def test_zeros_are_values() -> None:
    asked = Sampling(temperature=0.0, top_k=0, presence_penalty=0.0)
    assert bodies.sampling_fields(asked, RICH.sampling) == {"temperature": 0.0, "top_k": 0, "presence_penalty": 0.0}


def test_a_chat_has_its_messages_and_a_prompt_becomes_one() -> None:
    body = bodies.chat(
        request(prompt="", messages=CHAT), Dialect(max_tokens="max_completion_tokens"), model="m", seed=1
    )
    assert body["messages"] == [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]
    assert body["max_completion_tokens"] == 16
    assert "max_tokens" not in body
    assert "prompt" not in body
    assert bodies.chat(request(), Dialect(), model="m", seed=1)["messages"] == [{"role": "user", "content": "Hi"}]


def test_more_fields_give_way_to_our_own() -> None:
    more: dict[str, JsonValue] = {"stream": False, "prompt": "other", "user": "u"}
    body = bodies.completion(request(), Dialect(more=more, stream_options=None), model="m", seed=1)
    assert (body["stream"], body["prompt"], body["user"]) == (True, "Hi", "u")
    assert "stream_options" not in body


@pytest.mark.req("OC-ADAPT-OAI-6003", "OC-ADAPT-OAI-6004")
def test_a_response_is_not_kept_and_has_no_seed() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.25)
    assert bodies.response(request(sampling=sampling), {"reasoning": {"effort": "low"}}, model="m") == {
        "model": "m",
        "input": "Hi",
        "max_output_tokens": 16,
        "stream": True,
        "store": False,
        "temperature": 0.5,
        "top_p": 0.25,
        "reasoning": {"effort": "low"},
    }
    chat = bodies.response(request(prompt="", messages=CHAT), {}, model=None)
    assert chat["input"] == [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]
    for refused in (request(seed=7), request(sampling=Sampling(stop=("x",))), request(sampling=Sampling(top_k=1))):
        with pytest.raises(AdapterError):
            bodies.response(refused, {}, model="m")


def test_no_text_of_a_person_is_in_a_repr() -> None:
    assert "secret" not in repr(Dialect(more={"user": "secret"}))
