"""What OpenAI's own service has: the Responses API, limits, advice to come back; and what its clones do otherwise."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import openai
import pytest

from conformance.engines.openai import OpenAiSettings, Quirks
from conformance.engines.script import Fail, Finish, Ping, Script, Text, Usage
from tests.interop.openai_rig import HI, MODEL, speaking

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.responses import Response, ResponseStreamEvent

pytestmark = pytest.mark.interop

HELLO = Script.of(Text("Hel"), Text("lo"), Usage(7, 5), Finish())
KEYLESS = OpenAiSettings()


def chat(client: OpenAI) -> str | None:
    return client.chat.completions.create(model=MODEL, messages=HI, max_tokens=9).choices[0].message.content


def respond(client: OpenAI) -> Response:
    return client.responses.create(model=MODEL, input="Hi", instructions="Be brief.", max_output_tokens=9)


def events(client: OpenAI) -> list[ResponseStreamEvent]:
    return list(client.responses.create(model=MODEL, input="Hi", stream=True))


async def test_a_response_comes_in_one_piece() -> None:
    async with speaking("openai", HELLO) as spoken:
        response = await spoken.ask(respond)
    assert (response.output_text, response.status) == ("Hello", "completed")
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (7, 5, 12)


async def test_the_events_of_a_response_come_in_order_and_numbered() -> None:
    async with speaking("openai", HELLO) as spoken:
        told = await spoken.ask(events)
    assert [event.type for event in told] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in told] == list(range(10))
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "Hello"
    assert told[-1].type == "response.completed"
    assert told[-1].response.output_text == "Hello"


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_a_response_that_stops_early_is_incomplete(reason: str, why: str) -> None:
    async with speaking("openai", Script.of(Text("Hel"), Finish(reason))) as spoken:
        last = (await spoken.ask(events))[-1]
        whole = await spoken.ask(respond)
    assert last.type == "response.incomplete"
    for response in (last.response, whole):
        assert response.status == "incomplete"
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == why


async def test_a_response_that_fails_says_why_in_its_last_event() -> None:
    failure = Fail(500, "rate_limit_exceeded", "too many", in_stream=True)
    async with speaking("openai", Script.of(Text("Hel"), failure)) as spoken:
        last = (await spoken.ask(events))[-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert (last.response.error.code, last.response.error.message) == ("rate_limit_exceeded", "too many")


async def test_a_response_may_fail_with_an_event_of_its_own() -> None:
    settings = OpenAiSettings(quirks=Quirks(failed_event="error"))
    failure = Fail(500, "server_error", "lost", in_stream=True)
    async with speaking("openai", Script.of(Text("Hel"), failure), settings=settings) as spoken:
        last = (await spoken.ask(events, key="k"))[-1]
    assert last.type == "error"
    assert (last.code, last.message) == ("server_error", "lost")


async def test_the_packages_own_reading_of_a_response_stream_agrees() -> None:
    def read(client: OpenAI) -> str:
        with client.responses.stream(model=MODEL, input="Hi") as stream:
            for _ in stream:
                pass
            return stream.get_final_response().output_text

    async with speaking("openai", HELLO) as spoken:
        assert await spoken.ask(read) == "Hello"


async def test_the_packages_own_reading_of_a_chat_stream_agrees() -> None:
    def read(client: OpenAI) -> tuple[str | None, str]:
        with client.chat.completions.stream(model=MODEL, messages=HI) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
            return choice.message.content, choice.finish_reason

    async with speaking("openai", HELLO) as spoken:
        assert await spoken.ask(read) == ("Hello", "stop")


@pytest.mark.parametrize("kind", ["rate_limit_exceeded", "slow_down", "insufficient_quota"])
async def test_the_three_kinds_of_429_differ_by_their_code(kind: str) -> None:
    async with speaking("openai", Script.of(Fail(429, kind, "not now"))) as spoken:
        with pytest.raises(openai.RateLimitError) as raised:
            await spoken.ask(chat)
    assert raised.value.code == kind
    assert raised.value.request_id is not None
    assert raised.value.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("form", ["seconds", "ms"])
async def test_the_client_comes_back_when_it_is_told_to(form: str) -> None:
    """Without advice the package waits for at least 0.375 s, and then 0.75 s."""
    settings = replace(KEYLESS, retry_after="ms" if form == "ms" else "seconds", retry_after_s=0.05)
    busy = Script.of(Fail(429, "rate_limit_exceeded", "not now"))
    async with speaking("openai", busy, busy, HELLO, settings=settings) as spoken:
        assert await spoken.ask(chat, retries=2) == "Hello"
    waits = [later.at - earlier.at for earlier, later in pairwise(spoken.double.facts.requests)]
    assert len(waits) == 2
    assert min(waits) >= 0.05
    assert sum(waits) < 1.1


@pytest.mark.parametrize(("word", "status", "tries"), [("false", 500, 1), ("true", 400, 3)])
async def test_the_client_obeys_when_it_is_told_whether_to_try_again(word: str, status: int, tries: int) -> None:
    settings = replace(
        KEYLESS, retry_after="ms", retry_after_s=0.01, should_retry="true" if word == "true" else "false"
    )
    async with speaking("openai", Script.of(Fail(status, "server_error", "no")), settings=settings) as spoken:
        with pytest.raises(openai.APIStatusError):
            await spoken.ask(chat, retries=2)
        assert spoken.double.facts.submitted == tries


async def test_limits_are_counted_down_and_then_enforced() -> None:
    def remaining(client: OpenAI) -> str:
        answer = client.chat.completions.with_raw_response.create(model=MODEL, messages=HI)
        return str(answer.headers["x-ratelimit-remaining-requests"])

    async with speaking("openai", HELLO, settings=replace(KEYLESS, requests_per_minute=2)) as spoken:
        assert [await spoken.ask(remaining), await spoken.ask(remaining)] == ["1", "0"]
        with pytest.raises(openai.RateLimitError, match="Rate limit reached") as raised:
            await spoken.ask(remaining)
    assert raised.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert raised.value.response.headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_field_that_the_interface_does_not_have_is_refused() -> None:
    def odd(client: OpenAI) -> None:
        client.chat.completions.create(model=MODEL, messages=HI, extra_body={"min_p": 0.1})

    async with speaking("openai") as spoken:
        with pytest.raises(openai.BadRequestError, match="Unknown parameter: 'min_p'") as raised:
            await spoken.ask(odd)
    assert (raised.value.code, raised.value.param) == ("unknown_parameter", "min_p")


CLONES = {
    "no role": Quirks(role="never"),
    "a role everywhere": Quirks(role="every"),
    "null for no text": Quirks(empty_content="null"),
    "nothing for no text": Quirks(empty_content="missing"),
    "empty reason": Quirks(unfinished="empty"),
    "no reason": Quirks(unfinished="missing"),
    "empty choices first": Quirks(empty_first=True),
    "usage on the last chunk": Quirks(usage_on_finish=True),
    "no end marker": Quirks(has_done=False),
    "no space": Quirks(space=""),
    "comments": Quirks(ping="OPENROUTER PROCESSING"),
    "reasoning": Quirks(reasoning="Hm.", reasoning_field="reasoning"),
}


@pytest.mark.parametrize("clone", CLONES)
async def test_the_streams_of_clones_are_read_too(clone: str) -> None:
    def read(client: OpenAI) -> str:
        chunks = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    script = Script.of(Ping(), Text("Hel"), Ping(), Text("lo"))
    async with speaking("openai", script, settings=OpenAiSettings(quirks=CLONES[clone])) as spoken:
        assert await spoken.ask(read, is_strict=clone not in {"empty reason"}) == "Hello"


@pytest.mark.parametrize(("quirks", "words", "code"), [
    (Quirks(error="string"), "not so", None),
    (Quirks(error="detail"), "not so", None),
    (Quirks(error="number"), "not so", "400"),
    (Quirks(error="html"), "Bad gateway", None),
    (Quirks(error="empty"), "", None),
])  # fmt: skip
async def test_the_errors_of_clones_are_read_too(quirks: Quirks, words: str, code: str | None) -> None:
    async with speaking(
        "openai", Script.of(Fail(400, "invalid_value", "not so")), settings=OpenAiSettings(quirks=quirks)
    ) as spoken:
        with pytest.raises(openai.BadRequestError) as raised:
            await spoken.ask(chat)
    assert raised.value.code == code
    assert words in raised.value.response.text
