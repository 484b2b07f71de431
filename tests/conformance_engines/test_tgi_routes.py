"""What the TGI double refuses, and its other routes, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from conformance.engines.script import (
    Fail,
    Script,
    Text,
)
from conformance.engines.tgi import Model, TgiSettings, open_tgi
from tests.conformance_engines.client import ask
from tests.conformance_engines.tgi_calls import (
    CHAT,
    STREAM,
    WHOLE,
    asks,
    chats,
    frames,
    post,
    tokens,
)

if TYPE_CHECKING:
    from trio.testing import MockClock


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"temperature": 0}, "`temperature` must be strictly positive"),
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 1}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 2.5}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": ["a"] * 5}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"best_of": 3}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"best_of": 2, "do_sample": True, "seed": 1}, "`seed` must not be set when `best_of` > 1"),
        (
            {"max_new_tokens": 2047},
            "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2 `inputs` tokens and 2047 `max_new_tokens`",
        ),
    ],
)
async def test_parameters_that_the_router_refuses(
    autojump_clock: MockClock, parameters: dict[str, object], words: str
) -> None:
    async with open_tgi() as double:
        error = {"error": f"Input validation error: {words}", "error_type": "validation"}
        told = await post(double, WHOLE, asks(given=parameters))
        assert (told.status, told.json) == (422, error)
        if "best_of" not in parameters:
            streamed = await post(double, STREAM, asks(given=parameters))
            assert (streamed.status, frames(streamed)) == (200, [error])


@pytest.mark.parametrize("parameters", [{"best_of": 2, "do_sample": True}, {"decoder_input_details": True}])
async def test_what_a_stream_cannot_do(autojump_clock: MockClock, parameters: dict[str, object]) -> None:
    async with open_tgi() as double:
        (told,) = frames(await post(double, STREAM, asks(given=parameters)))
        assert "is not supported when streaming tokens" in str(told["error"])


async def test_prompts_that_the_router_refuses(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        (told,) = frames(await post(double, STREAM, asks("")))
        assert told["error"] == "Input validation error: `inputs` cannot be empty"
        (told,) = frames(await post(double, STREAM, asks("word " * 1100)))
        assert told["error"] == "Input validation error: `inputs` must have less than 1024 tokens. Given: 1102"
        told_all = frames(await post(double, STREAM, asks("word " * 1022, max_new_tokens=1)))  # 1024, all told
        assert [frame["index"] for frame in told_all] == [1]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"{nope", "application/json", 400, "Failed to parse the request body as JSON"),
        (b'{"parameters":{}}', "application/json", 422, "missing required field `inputs`"),
        (b'{"inputs":5}', "application/json", 422, "Failed to deserialize the JSON body into the target type"),
        (b'{"inputs":"a","parameters":{"seed":-1}}', "application/json", 422, "seed"),
        (b'{"inputs":"a","parameters":{"seed":18446744073709551616}}', "application/json", 422, "expected u64"),
        (b'{"inputs":"a"}', "text/plain", 415, "Expected request with `Content-Type: application/json`"),
        (b'{"inputs":"%b"}' % (b"x" * 300), "application/json", 413, "length limit exceeded"),
    ],
)
async def test_bodies_are_refused_in_plain_text(
    autojump_clock: MockClock, body: bytes, content_type: str, status: int, words: str
) -> None:
    async with open_tgi(TgiSettings(payload_limit=250)) as double:
        for path in (STREAM, WHOLE):
            told = await ask(double, path, body=body, headers={"content-type": content_type})
            assert told.status == status
            assert told.headers["content-type"] == "text/plain; charset=utf-8"
            assert words in told.body.decode()


async def test_a_key_is_asked_for_where_work_is_done(autojump_clock: MockClock) -> None:
    async with open_tgi(TgiSettings(api_key="k")) as double:
        told = await post(double, STREAM, asks())
        assert (told.status, told.body) == (401, b"")
        assert (await post(double, STREAM, asks(), authorization="Bearer k")).status == 200
        for path in ("/health", "/info", "/metrics", "/", "/ping", "/v1/models"):
            assert (await ask(double, path)).status == 200


async def test_routes_that_are_none(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        assert (await ask(double, "/nope")).status == 404
        assert (await ask(double, "/generate")).status == 405
        assert (await post(double, "/embed", {})).status == 404


async def test_a_chat_without_a_template_is_refused_with_a_status(autojump_clock: MockClock) -> None:
    async with open_tgi(TgiSettings(has_template=False)) as double:
        for path in (CHAT, "/chat_tokenize"):
            told = await post(double, path, chats(stream=True))
            assert told.status == 422
            assert told.json == {"error": "Template error: template not found", "error_type": "template_error"}
    async with open_tgi(None, Script.of(Fail(422, "tool_error", "Tool error: x"))) as double:
        assert (await post(double, CHAT, chats(stream=True))).status == 422


async def test_lora_adapters_are_named_or_taken_for_the_model(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        assert (await post(double, CHAT, chats(model="made up"))).status == 200
    async with open_tgi(TgiSettings(adapters=("poet",)), Script.of(Text("a"))) as double:
        assert (await post(double, WHOLE, asks(adapter_id="poet"))).status == 200
        assert (await post(double, CHAT, chats(model="made up"))).status == 422


async def test_the_compatible_route_answers_a_list_and_shows_the_prompt(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text(" there"))) as double:
        assert (await post(double, "/", asks())).json == [{"generated_text": "Hi there"}]
        assert (await post(double, "/", asks(return_full_text=False))).json == [{"generated_text": " there"}]
        assert tokens(await post(double, "/", {**asks(), "stream": True}))[0]["text"] == " there"
    settings = TgiSettings(model=Model(pipeline_tag="image-text-to-text"))
    async with open_tgi(settings, Script.of(Text(" there"))) as double:
        assert (await post(double, "/", asks())).json == [{"generated_text": " there"}]


async def test_openai_completions_let_native_words_through(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        asked = {"model": "tgi", "prompt": "Hi", "stream": True}
        answer = await post(double, "/v1/completions", asked)
        choices = [frame["choices"] for frame in frames(answer)]
        told = [(one[0]["text"], one[0]["finish_reason"]) for one in choices if isinstance(one, list)]
        assert told == [("a", ""), ("</s>", "eos_token")]
        assert answer.body.endswith(b"data: [DONE]\n\n")
        assert (await post(double, "/v1/completions", {**asked, "suffix": "x"})).status == 422


async def test_tokens_of_a_text_and_of_a_chat(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        pieces = (await post(double, "/tokenize", {"inputs": "«é» b"})).json
        assert isinstance(pieces, list)
        assert pieces[0] == {"id": 1, "text": "", "start": 0, "stop": 0}  # added, so it stands nowhere
        assert [(piece["start"], piece["stop"]) for piece in pieces[1:]] == [(0, 1), (1, 2), (2, 3), (3, 5)]
        chat = msgspec.json.decode((await post(double, "/chat_tokenize", chats())).body, type=dict[str, object])
        assert chat["templated_text"] == "<s>[user] Hi</s>\n[assistant]"
        assert isinstance(chat["tokenize_response"], list)
        assert chat["tokenize_response"][0] == {"id": 1, "text": "<s>", "start": 0, "stop": 3}
        assert double.facts.submitted == 0  # no work


async def test_the_text_that_is_made_up_follows_prompt_and_seed(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        drawn = [asks(max_new_tokens=8, do_sample=True, seed=seed) for seed in (1, 1, 2)]
        first, again, other = [(await post(double, WHOLE, one)).body for one in drawn]
        assert first == again != other
        greedy = [asks(max_new_tokens=8, seed=seed) for seed in (1, 2)]
        first, again = [(await post(double, WHOLE, one)).body for one in greedy]
        assert first == again
