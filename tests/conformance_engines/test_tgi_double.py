"""The TGI double under scripts: permits, batch, frames, refusals, loss and death, in virtual time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.script import (
    Accept,
    Cut,
    Die,
    Fail,
    Finish,
    Loading,
    Overload,
    Pause,
    Reset,
    Script,
    SplitBytesAt,
    Stall,
    Text,
    Usage,
)
from conformance.engines.tgi import Model, TgiDouble, TgiSettings, open_tgi
from tests.conformance_engines.client import HOST, PORT, Answer, ask, open_call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from tests.conformance_engines.client import Call

JSON = {"content-type": "application/json"}
STREAM, WHOLE, CHAT = "/generate_stream", "/generate", "/v1/chat/completions"
OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
BOOM = "Request failed during generation: boom"


def asks(inputs: str = "Hi", given: Mapping[str, object] | None = None, **parameters: object) -> dict[str, object]:
    return {"inputs": inputs, "parameters": {**(given or {}), **parameters}}


def chats(**fields: object) -> dict[str, object]:
    return {"model": "tgi", "messages": [{"role": "user", "content": "Hi"}], **fields}


async def post(double: TgiDouble, path: str, value: object, **headers: str) -> Answer:
    return await ask(double, path, value, headers={**JSON, **headers})


def calling(double: TgiDouble, path: str, value: object) -> AbstractAsyncContextManager[Call]:
    return open_call(double, path, value, headers=JSON)


def frames(answer: Answer) -> list[dict[str, object]]:
    """Return the frames of a stream, without `[DONE]`."""
    data = [block.removeprefix("data: ") for block in answer.body.decode().split("\n\n") if block.startswith("data: ")]
    return [msgspec.json.decode(one, type=dict[str, object]) for one in data if one != "[DONE]"]


def tokens(answer: Answer) -> list[Mapping[str, object]]:
    told = [frame["token"] for frame in frames(answer)]
    return [token for token in told if isinstance(token, dict)]


# --- streams


async def test_a_stream_ends_with_a_special_token_and_no_done(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("Hel"), Text("lo"))) as double:
        answer = await post(double, STREAM, asks(details=True, seed=7, do_sample=True))
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        assert b"[DONE]" not in answer.body
        told = frames(answer)
        assert [frame["index"] for frame in told] == [1, 2, 3]
        assert [(token["text"], token["special"]) for token in tokens(answer)] == [
            ("Hel", False),
            ("lo", False),
            ("</s>", True),
        ]
        assert [frame["generated_text"] for frame in told] == [None, None, "Hello"]
        assert [frame["details"] for frame in told[:2]] == [None, None]
        assert told[2]["details"] == {
            "finish_reason": "eos_token",
            "generated_tokens": 3,
            "seed": 7,
            "input_length": 2,
        }


async def test_details_are_null_unless_asked_for(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        assert frames(await post(double, STREAM, asks()))[-1]["details"] is None
        assert "details" not in msgspec.json.decode((await post(double, WHOLE, asks())).body, type=dict[str, object])


async def test_a_greedy_generation_has_no_seed_to_tell(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        details = frames(await post(double, STREAM, asks(details=True, seed=7)))[-1]["details"]
        assert isinstance(details, dict)
        assert details["seed"] is None


@pytest.mark.parametrize(("reason", "word"), [("length", "length"), ("stop_string", "stop_sequence"), ("odd", "odd")])
async def test_another_end_sits_on_the_last_text(autojump_clock: MockClock, reason: str, word: str) -> None:
    script = Script.of(Text("a"), Text("b"), Usage(9, 9), Finish(reason))
    async with open_tgi(None, script) as double:
        answer = await post(double, STREAM, asks(details=True))
        assert [token["text"] for token in tokens(answer)] == ["a", "b"]
        assert frames(answer)[-1]["generated_text"] == "ab"
        assert frames(answer)[-1]["details"] == {
            "finish_reason": word,
            "generated_tokens": 9,
            "seed": None,
            "input_length": 9,
        }


async def test_a_text_is_not_held_back_where_silence_follows(autojump_clock: MockClock) -> None:
    async with (
        open_tgi(None, Script.of(Text("a"), Pause(5), Finish("length"))) as double,
        calling(double, STREAM, asks()) as call,
    ):
        await call.until(b'"a"')
        assert trio.current_time() == 0
        assert tokens(await call.finish())[-1]["text"] == ""


async def test_a_token_without_text_has_a_frame_of_its_own(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("漢", tokens=3))) as double:
        told = tokens(await post(double, STREAM, asks()))
        assert [token["text"] for token in told] == ["", "", "漢", "</s>"]
        assert len({token["id"] for token in told}) == 4


async def test_comments_come_every_15_s_of_silence(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(40), Text("b"), Pause(10), Text("c"))
    async with open_tgi(None, script) as double:
        body = (await post(double, STREAM, asks())).body
        assert body.count(b":\n\n") == 2
        assert body.index(b'"a"') < body.index(b":\n\n") < body.rindex(b":\n\n") < body.index(b'"b"')


async def test_separators_of_lines_are_raw_in_the_json(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(SplitBytesAt((1, 2)), Text("a\u2028b\u0085c"))) as double:
        assert "a\u2028b\u0085c".encode() in (await post(double, STREAM, asks())).body


# --- permits and the batch


async def test_beyond_the_permits_a_stream_gets_a_200_with_an_error(autojump_clock: MockClock) -> None:
    script = Script.of(Accept(), Stall())
    async with open_tgi(TgiSettings(permits=1), script) as double, calling(double, STREAM, asks()) as first:
        await first.step()
        answer = await post(double, STREAM, asks())
        assert (answer.status, answer.is_whole, frames(answer)) == (200, True, [OVERLOADED])
        told = await post(double, WHOLE, asks())
        assert (told.status, told.json) == (429, OVERLOADED)
        assert "retry-after" not in told.headers
        chat = await post(double, CHAT, chats(stream=True))
        assert chat.body == (
            b'data: {"error":{"message":"Model is overloaded","http_status_code":422}}\n\ndata: [DONE]\n\n'
        )
        assert (await post(double, CHAT, chats())).status == 429


async def test_beyond_the_batch_a_stream_has_its_head_and_waits(autojump_clock: MockClock) -> None:
    first, second = Script.of(Text("a"), Pause(20)), Script.of(Text("b"))
    async with (
        open_tgi(TgiSettings(permits=2, batch=1), first, second) as double,
        calling(double, STREAM, asks()) as one,
        calling(double, STREAM, asks()) as two,
    ):
        await one.until(b'"a"')
        await two.step()
        assert (two.answer.status, trio.current_time()) == (200, 0)
        metrics = (await ask(double, "/metrics")).body
        assert b"tgi_queue_size 1\n" in metrics
        assert b"tgi_batch_current_size 1\n" in metrics
        await two.until(b'"b"')
        assert trio.current_time() == 20
        assert b":\n\n" in two.answer.body


async def test_a_client_that_leaves_frees_its_permit_at_once_and_its_place_soon(autojump_clock: MockClock) -> None:
    settings = TgiSettings(permits=1, batch=1, release_s=0.5)
    async with open_tgi(settings, Script.of(Text("a"), Stall()), Script.of(Text("b"))) as double:
        async with calling(double, STREAM, asks()) as call:
            await call.until(b'"a"')
        await wait_all_tasks_blocked()
        assert (double.facts.live, double.facts.gone) == (1, [(trio.current_time(), 0)])
        answer = await post(double, STREAM, asks())
        assert tokens(answer)[0]["text"] == "b"
        assert trio.current_time() == 0.5
        await wait_all_tasks_blocked()
        assert double.facts.live == 0
        assert b'tgi_request_failure{err="dropped"} 1\n' in (await ask(double, "/metrics")).body


async def test_overload_can_be_played(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Overload())) as double:
        assert frames(await post(double, STREAM, asks())) == [OVERLOADED]
        assert (await post(double, WHOLE, asks())).status == 429


async def test_a_failed_batch_hits_all_that_are_in_it(autojump_clock: MockClock) -> None:
    doom = Fail(424, "generation", BOOM, in_stream=True, whole_batch=True)
    scripts = Script.of(Text("a"), Stall()), Script.of(Pause(1), doom), Script.of(Text("c"))
    answers: dict[int, Answer] = {}

    async def call(number: int, path: str) -> None:
        answers[number] = await post(double, path, asks())

    async with open_tgi(TgiSettings(permits=3, batch=2), *scripts) as double, trio.open_nursery() as nursery:
        for number, path in enumerate((STREAM, WHOLE, STREAM)):
            nursery.start_soon(call, number, path)
            await trio.sleep(0.1)
    assert frames(answers[0])[-1] == {"error": BOOM, "error_type": "generation"}
    assert (answers[1].status, answers[1].json) == (424, {"error": BOOM, "error_type": "generation"})
    assert tokens(answers[2])[0]["text"] == "c"


# --- refusals


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


# --- other routes


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


# --- loss and death


async def test_nothing_listens_while_it_loads(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Loading(5))) as double:
        assert not (await post(double, STREAM, asks())).is_whole
        with pytest.raises(ConnectionRefusedError):
            await double.dial(HOST, PORT)
        await trio.sleep(5.1)
        assert (await ask(double, "/health")).status == 200


async def test_a_process_that_dies_forgets_its_batch(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"), Die(1, 2)), Script.of(Text("b"))) as double:
        assert not (await post(double, STREAM, asks())).is_whole
        assert double.facts.live == 0
        await trio.sleep(3.1)
        assert tokens(await post(double, STREAM, asks()))[0]["text"] == "b"


@pytest.mark.parametrize(("step", "is_whole"), [(Cut(clean=True), True), (Cut(clean=False), False), (Reset(), False)])
async def test_a_stream_can_break(autojump_clock: MockClock, step: Cut | Reset, is_whole: bool) -> None:
    async with open_tgi(None, Script.of(Text("a"), Pause(1), step)) as double:
        answer = await post(double, STREAM, asks())
        assert (answer.is_whole, len(tokens(answer))) == (is_whole, 1)
        await wait_all_tasks_blocked()
        assert (double.facts.live, double.facts.gone) == (0, [])


async def test_a_health_check_that_fails(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        double.is_healthy = False
        told = await ask(double, "/health")
        assert (told.status, told.json) == (503, {"error": "unhealthy", "error_type": "healthcheck"})


async def test_many_requests_at_once_over_real_sockets() -> None:
    async with open_tgi(TgiSettings(permits=32, batch=8)) as double:
        url = await double.serve_tcp()
        port = int(url.rpartition(":")[2])

        async def one(seed: int, said: dict[int, bytes]) -> None:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            body = msgspec.json.encode(asks(max_new_tokens=5, do_sample=True, seed=seed))
            head = f"POST {WHOLE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            async with stream:
                await stream.send_all(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
                said[seed] = b"".join([chunk async for chunk in stream])

        said: dict[int, bytes] = {}
        async with trio.open_nursery() as nursery:
            for seed in range(32):
                nursery.start_soon(partial(one, seed, said))
        assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in said.values())
        assert len(said) == 32
        assert double.facts.live == 0
