"""The OpenAI double under scripts and quirks: limits, advice, what clones send, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.openai import OpenAiSettings, Quirks, open_openai
from conformance.engines.openai.requests import KNOWN
from conformance.engines.script import Fail, Finish, Overload, Ping, Script, Stall, Text, Usage
from tests.conformance_engines.client import ask, decode, open_call

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from tests.conformance_engines.client import Answer

    Fields = dict[str, JsonValue]

CHAT, TEXT, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
HI = [{"role": "user", "content": "Hi"}]
HELLO = Script.of(Text("Hel"), Text("lo"), Usage(7, 5), Finish())
QUIET = OpenAiSettings(obfuscates=False)


def asks(**fields: object) -> dict[str, object]:
    return {"model": "tiny", "messages": HI, "stream": True, **fields}


def blocks(answer: Answer) -> list[str]:
    return [block for block in answer.body.decode().split("\n\n") if block]


def frames(answer: Answer) -> list[Fields]:
    data = [block.rpartition("data:")[2].strip() for block in blocks(answer)]
    return [cast("Fields", decode(text)) for text in data if text.startswith("{")]


def choices(answer: Answer) -> list[Fields]:
    return [cast("Fields", choice) for frame in frames(answer) for choice in cast("list[JsonValue]", frame["choices"])]


async def stream(quirks: Quirks, script: Script = HELLO, **fields: object) -> Answer:
    async with open_openai(replace(QUIET, quirks=quirks), script) as double:
        return await ask(double, CHAT, asks(**fields))


async def test_a_stream_is_said_as_the_service_says_it() -> None:
    answer = await stream(Quirks())
    assert [(choice["delta"], choice["finish_reason"]) for choice in choices(answer)] == [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "Hel"}, None),
        ({"content": "lo"}, None),
        ({}, "stop"),
    ]
    assert blocks(answer)[-1] == "data: [DONE]"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_usage_is_null_everywhere_but_in_its_own_chunk() -> None:
    *others, last = frames(await stream(Quirks(), stream_options={"include_usage": True}))
    assert [frame["usage"] for frame in others] == [None] * 4
    assert cast("Fields", last["usage"])["completion_tokens"] == 5
    assert all("usage" not in frame for frame in frames(await stream(Quirks())))


async def test_padding_is_sent_unless_it_is_declined() -> None:
    async with open_openai(None, HELLO) as double:
        padded = frames(await ask(double, CHAT, asks()))
        bare = frames(await ask(double, CHAT, asks(stream_options={"include_obfuscation": False})))
    assert all(frame["obfuscation"] for frame in padded)
    assert not any("obfuscation" in frame for frame in bare)


async def test_a_clone_may_send_the_role_never_or_always() -> None:
    assert not any("role" in cast("Fields", choice["delta"]) for choice in choices(await stream(Quirks(role="never"))))
    every = choices(await stream(Quirks(role="every")))
    assert all(cast("Fields", choice["delta"])["role"] == "assistant" for choice in every)


@pytest.mark.parametrize(("quirks", "first"), [
    (Quirks(empty_content="null"), {"role": "assistant", "content": None}),
    (Quirks(empty_content="missing"), {"role": "assistant"}),
])  # fmt: skip
async def test_a_clone_may_send_no_text_in_several_ways(quirks: Quirks, first: Fields) -> None:
    assert choices(await stream(quirks))[0]["delta"] == first


async def test_a_clone_may_leave_the_reason_empty_or_out() -> None:
    empty = choices(await stream(Quirks(unfinished="empty")))
    assert [choice["finish_reason"] for choice in empty] == ["", "", "", "stop"]
    missing = choices(await stream(Quirks(unfinished="missing")))
    assert ["finish_reason" in choice for choice in missing] == [False, False, False, True]


async def test_a_clone_may_begin_with_no_choices_and_end_with_usage_on_the_last_of_them() -> None:
    told = frames(await stream(Quirks(empty_first=True, usage_on_finish=True)))
    assert told[0]["choices"] == []
    assert cast("Fields", told[-1]["usage"])["prompt_tokens"] == 7


async def test_a_clone_may_leave_out_the_end_marker_and_the_space() -> None:
    said = blocks(await stream(Quirks(has_done=False, space="")))
    assert all(block.startswith("data:{") for block in said)


async def test_a_clone_may_send_reasoning_and_comments() -> None:
    quirks = Quirks(reasoning="Hm.", reasoning_field="reasoning", ping="PROCESSING")
    answer = await stream(quirks, Script.of(Ping(), Text("a")))
    assert ": PROCESSING" in blocks(answer)
    assert [choice["delta"] for choice in choices(answer)][1] == {"reasoning": "Hm.", "content": ""}


@pytest.mark.parametrize(("quirks", "said"), [
    (Quirks(), ['data: {"error":{"message":"no","type":"server_error","param":null,"code":null}}']),
    (Quirks(error="string"), ['data: {"error":"no"}']),
    (Quirks(error="detail"), ['data: {"detail":"no"}']),
    (Quirks(error="number"), ['data: {"error":{"message":"no","type":"server_error","param":null,"code":500}}']),
    (Quirks(error="string", error_event=True), ['event: error\ndata: {"error":"no"}']),
    (Quirks(error="string", done_after_error=True), ['data: {"error":"no"}', "data: [DONE]"]),
])  # fmt: skip
async def test_an_error_in_a_stream_has_many_forms(quirks: Quirks, said: list[str]) -> None:
    answer = await stream(quirks, Script.of(Fail(500, "server_error", "no", in_stream=True)))
    assert blocks(answer) == said


@pytest.mark.parametrize(("code", "kind"), [
    ("rate_limit_exceeded", "requests"), ("insufficient_quota", "insufficient_quota"),
    ("context_length_exceeded", "invalid_request_error"),
])  # fmt: skip
async def test_what_a_script_calls_the_type_of_an_error_is_its_code(code: str, kind: str) -> None:
    async with open_openai(None, Script.of(Fail(429, code, "no"))) as double:
        answer = await ask(double, CHAT, asks())
    assert answer.json == {"error": {"message": "no", "type": kind, "param": None, "code": code}}


async def test_advice_comes_as_seconds_as_milliseconds_as_a_date_or_not_at_all() -> None:
    async def advice(settings: OpenAiSettings, status: int = 429) -> dict[str, str]:
        async with open_openai(settings, Script.of(Fail(status, "rate_limit_exceeded", "no"))) as double:
            headers = (await ask(double, CHAT, asks())).headers
        return {name: value for name, value in headers.items() if name.startswith(("retry", "x-should"))}

    assert await advice(OpenAiSettings(retry_after_s=1.5)) == {"retry-after": "1.5"}
    assert await advice(OpenAiSettings(retry_after="ms", retry_after_s=1.5)) == {"retry-after-ms": "1500"}
    assert await advice(OpenAiSettings(retry_after="none")) == {}
    assert await advice(OpenAiSettings(), 400) == {}
    assert await advice(OpenAiSettings(should_retry="false"), 400) == {"x-should-retry": "false"}
    dated = await advice(OpenAiSettings(retry_after="date", retry_after_s=3600))
    ahead = parsedate_to_datetime(dated["retry-after"]) - datetime.now(UTC)
    assert 3500 < ahead.total_seconds() <= 3600


async def test_a_limit_is_counted_over_a_minute(autojump_clock: MockClock) -> None:
    async with open_openai(replace(QUIET, requests_per_minute=2), HELLO) as double:
        first = await ask(double, CHAT, asks())
        await trio.sleep(30)
        second, third = await ask(double, CHAT, asks()), await ask(double, CHAT, asks())
        assert [answer.status for answer in (first, second, third)] == [200, 200, 429]
        assert (first.headers["x-ratelimit-limit-requests"], first.headers["x-ratelimit-remaining-requests"]) == (
            "2",
            "1",
        )
        assert third.headers["x-ratelimit-reset-requests"] == "30s"
        await trio.sleep(30)
        assert (await ask(double, CHAT, asks())).status == 200


async def test_a_request_beyond_the_slots_is_refused(autojump_clock: MockClock) -> None:
    settings = replace(QUIET, slots=1)
    async with open_openai(settings, Script.of(Text("a"), Stall())) as double, open_call(double, CHAT, asks()) as first:
        await first.until(b'"a"')
        second = await ask(double, CHAT, asks())
    assert second.status == 429
    assert '"code":"rate_limit_exceeded"' in second.body.decode()


async def test_overload_is_a_429() -> None:
    async with open_openai(None, Script.of(Overload())) as double:
        answer = await ask(double, CHAT, asks())
    assert (answer.status, answer.headers["retry-after"]) == (429, "2")


async def test_a_response_ends_without_the_end_marker_unless_a_clone_sends_one() -> None:
    body = {"model": "tiny", "input": "Hi", "stream": True}
    for quirks, last in ((Quirks(), "event: response.completed"), (Quirks(done_after_response=True), "data: [DONE]")):
        async with open_openai(replace(QUIET, quirks=quirks), HELLO) as double:
            assert blocks(await ask(double, RESPONSES, body))[-1].startswith(last)


async def test_a_response_begins_before_there_is_any_text(autojump_clock: MockClock) -> None:
    body = {"model": "tiny", "input": "Hi", "stream": True}
    async with (
        open_openai(replace(QUIET, prefill_s=5), HELLO) as double,
        open_call(double, RESPONSES, body) as call,
    ):
        await call.until(b"response.in_progress")
        assert trio.current_time() == 0.0
        await call.until(b"response.output_text.delta")
        assert trio.current_time() == 5.0


@pytest.mark.parametrize("path", KNOWN)
async def test_a_field_of_another_engine_is_refused_unless_a_clone_ignores_it(path: str) -> None:
    body = {"model": "tiny", "messages": HI, "prompt": "Hi", "input": "Hi", "top_k": 3}
    mine = {name: value for name, value in body.items() if name in KNOWN[path] or name == "top_k"}
    async with open_openai() as double:
        refused = await ask(double, path, mine)
    assert (refused.status, "Unknown parameter: 'top_k'" in refused.body.decode()) == (400, True)
    async with open_openai(OpenAiSettings(quirks=Quirks(ignores_unknown=True))) as double:
        assert (await ask(double, path, mine)).status == 200


@pytest.mark.parametrize(("fields", "param"), [
    ({"temperature": "hot"}, "temperature"), ({"temperature": 3}, "temperature"), ({"max_tokens": "x"}, "max_tokens"),
    ({"stream": 1}, "stream"), ({"messages": []}, "messages"), ({"seed": 1.5}, "seed"),
])  # fmt: skip
async def test_a_field_that_is_wrong_is_named(fields: dict[str, object], param: str) -> None:
    async with open_openai() as double:
        answer = await ask(double, CHAT, asks(**fields))
        assert double.facts.live == 0
    error = cast("Fields", cast("Fields", answer.json)["error"])
    assert (answer.status, error["param"], error["type"]) == (400, param, "invalid_request_error")


@pytest.mark.parametrize(("path", "status", "code"), [
    ("/v1/nope", 404, None), (CHAT, 405, "method_not_supported"), ("/v1/models/nope", 404, "model_not_found"),
])  # fmt: skip
async def test_what_does_not_exist_is_refused(path: str, status: int, code: str | None) -> None:
    async with open_openai() as double:
        answer = await ask(double, path)
    assert (answer.status, cast("Fields", cast("Fields", answer.json)["error"])["code"]) == (status, code)


async def test_a_key_is_asked_for_on_every_route() -> None:
    async with open_openai(OpenAiSettings(api_key="k")) as double:
        for path in ("/v1/models", "/v1/nope"):
            assert (await ask(double, path)).status == 401
            assert (await ask(double, path, headers={"Authorization": "Bearer no"})).status == 401
        assert (await ask(double, "/v1/models", headers={"Authorization": "Bearer k"})).status == 200


async def test_a_client_that_leaves_gives_its_place_back(autojump_clock: MockClock) -> None:
    async with open_openai(replace(QUIET, slots=1, release_s=1), Script.of(Text("a"), Stall()), HELLO) as double:
        async with open_call(double, CHAT, asks()) as call:
            await call.until(b'"a"')
        await trio.sleep(0.5)
        assert double.facts.live == 1
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert (double.facts.live, len(double.facts.gone)) == (0, 1)
        assert (await ask(double, CHAT, asks())).status == 200
