"""What reached a double, in neutral words: the servers' names for one thing become one name."""

from __future__ import annotations

import json

import pytest

from conformance.engines.http1 import SeenRequest
from conformance.engines.openai import requests as openai
from conformance.engines.received import FIELDS, as_received, json_object, of_parts
from conformance.engines.tgi import requests as tgi
from conformance.engines.triton import http_service as triton

WISHED = {
    "max_tokens": 7,
    "seed": 41,
    "temperature": 0.75,
    "top_p": 0.875,
    "top_k": 40,
    "min_p": 0.0625,
    "repeat_penalty": 1.125,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "stop": ["END"],
}


def seen(body: object, path: str = "/x") -> SeenRequest:
    return SeenRequest("POST", path, headers={"x-id": "a"}, body=json.dumps(body).encode())


def test_the_neutral_names_are_those_of_a_request() -> None:
    assert set(FIELDS) == set(WISHED)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"n_predict": 7}, {"max_tokens": 7}),
        ({"max_completion_tokens": 7}, {"max_tokens": 7}),
        ({"max_output_tokens": 7}, {"max_tokens": 7}),
        ({"repetition_penalty": 1.125}, {"repeat_penalty": 1.125}),
        ({"stop": "END"}, {"stop": ["END"]}),
        ({"stop_words": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"sampling_param_top_k": 40}, {"top_k": 40}),
        ({"sampling_parameters": '{"seed": 41, "top_p": 0.875}'}, {"seed": 41, "top_p": 0.875}),
        ({"parameters": {"max_new_tokens": 7, "seed": 0}}, {"max_tokens": 7, "seed": 0}),
        ({"temperature": None}, {}),
        ({"temperature": 0}, {"temperature": 0}),
        (WISHED, WISHED),
    ],
)
def test_every_name_of_a_field_becomes_ours(theirs: dict[str, object], ours: dict[str, object]) -> None:
    request = seen(theirs)
    assert as_received(request, json_object(request.body)).fields == ours


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "hi"}, ("hi",)),
        ({"inputs": "hi"}, ("hi",)),
        ({"input": ["a", "b"]}, ("a", "b")),
        ({"text_input": "hi"}, ("hi",)),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [{"text": "b"}]}]}, ("a", "b")),
        ({"messages": 3}, ()),
    ],
)
def test_texts_come_in_their_order(body: dict[str, object], texts: tuple[str, ...]) -> None:
    request = seen(body)
    assert as_received(request, json_object(request.body)).texts == texts


def test_the_rest_is_kept_by_the_engines_own_names() -> None:
    found = of_parts(b"raw", {"X-Id": "a"}, {"prompt": "hi", "seed": 1, "stream": True, "user": None})
    assert (found.body, found.others) == (b"raw", {"stream": True})


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff"])
def test_what_is_no_object_says_nothing(body: bytes) -> None:
    assert json_object(body) == {}


def test_openai_documents_its_defaults() -> None:
    found = openai.received_by(seen({"prompt": "hi", "top_p": 0.5}))
    assert [found.effective(name) for name in ("temperature", "top_p", "seed")] == [1, 0.5, None]


@pytest.mark.parametrize(
    ("body", "temperature"),
    [
        ({"inputs": "hi"}, 1),
        ({"inputs": "hi", "parameters": {"do_sample": False}}, 0),
        ({"inputs": "hi", "parameters": {"do_sample": True}}, 1),
        ({"inputs": "hi", "parameters": {"do_sample": True, "temperature": 0.5}}, 0.5),
        ({"inputs": "hi", "parameters": {"do_sample": True, "top_k": 3}}, 0),
        ({"messages": [], "model": "tgi"}, 1),
        ({"messages": [], "temperature": 0}, 0),
    ],
)
def test_tgi_takes_the_likeliest_token_unless_it_is_told_to_draw(body: dict[str, object], temperature: float) -> None:
    assert tgi.received_by(seen(body)).effective("temperature") == temperature


def test_triton_has_inputs_or_tensors() -> None:
    flat = triton.received_by(seen({"text_input": "hi", "max_tokens": 7, "id": "a"}))
    tensors = [{"name": "text_input", "data": ["hi"]}, {"name": "max_tokens", "data": [7]}]
    infer = triton.received_by(seen({"id": "a", "inputs": tensors}))
    assert (flat.texts, flat.fields) == (infer.texts, infer.fields) == (("hi",), {"max_tokens": 7})
