"""The `openai` package raises for each failure of a double what it raises for that of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest
import trio

from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.openai import OpenAiSettings
from conformance.engines.script import (
    Answer,
    Cut,
    Die,
    Fail,
    Finish,
    Overload,
    Pause,
    Reset,
    Script,
    Stall,
    Text,
)
from conformance.engines.vllm import VllmDouble, VllmSettings
from tests.interop.openai_rig import ENGINES, HI, KEY, MODEL, Settings, speaking

if TYPE_CHECKING:
    from openai import OpenAI

pytestmark = pytest.mark.interop

CLASSES = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


def chat(client: OpenAI) -> str | None:
    return client.chat.completions.create(model=MODEL, messages=HI, max_tokens=9).choices[0].message.content


def stream(client: OpenAI) -> str:
    chunks = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def first_text(client: OpenAI) -> str | None:
    """Read up to the first text and close the connection."""
    with client.chat.completions.create(model=MODEL, messages=HI, stream=True) as chunks:
        return next(choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("status", CLASSES)
async def test_each_status_is_an_exception_of_its_own(engine: str, status: int) -> None:
    async with speaking(engine, Script.of(Fail(status, "some_error", "the words of the engine"))) as spoken:
        with pytest.raises(CLASSES[status], match="the words of the engine") as raised:
            await spoken.ask(chat)
    assert raised.value.status_code == status
    assert raised.value.type == "some_error"


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_error_inside_a_stream_is_raised(engine: str) -> None:
    """vLLM sends [DONE] after it, and that is no success."""
    failure = Fail(500, "server_error", "the batch is lost", in_stream=True)
    async with speaking(engine, Script.of(Text("One"), failure)) as spoken:
        with pytest.raises(openai.APIError, match="the batch is lost"):
            await spoken.ask(stream)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [Cut(clean=False), Reset(), Die(60.0)])
async def test_a_lost_connection_is_a_connection_error(engine: str, loss: Cut | Reset | Die) -> None:
    async with speaking(engine, Script.of(Text("One"), loss)) as spoken:
        with pytest.raises(openai.APIConnectionError):
            await spoken.ask(stream)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_that_is_away_refuses_the_connection_until_it_is_back(engine: str) -> None:
    async with speaking(engine, Script.of(Text("One"))) as spoken:
        spoken.double.stop()
        with pytest.raises(openai.APIConnectionError):
            await spoken.ask(chat)
        spoken.double.start()
        assert await spoken.ask(chat, retries=2) == "One"


async def test_llamacpp_says_that_it_loads_and_the_others_do_not_listen() -> None:
    async with speaking("llamacpp", Script(loading_s=60)) as spoken:
        with pytest.raises(openai.InternalServerError, match="Loading model"):
            await spoken.ask(lambda client: client.models.list())
    for engine in ("vllm", "openai"):
        async with speaking(engine, Script(loading_s=60)) as spoken:
            with pytest.raises(openai.APIConnectionError):
                await spoken.ask(lambda client: client.models.list())


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_stalled_stream_runs_into_the_clients_time_limit(engine: str) -> None:
    async with speaking(engine, Script.of(Text("One"), Stall())) as spoken:
        with pytest.raises((openai.APITimeoutError, openai.APIConnectionError)):
            await spoken.ask(lambda client: stream(client.with_options(timeout=0.2)))
        await spoken.settle()
    assert len(spoken.double.facts.gone) == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_client_that_closes_a_stream_is_seen_to_leave(engine: str) -> None:
    async with speaking(engine, Script.of(Text("One"), Stall()), Script.of(Text("two"))) as spoken:
        assert await spoken.ask(first_text) == "One"
        await spoken.settle()
        assert [index for _, index in spoken.double.facts.gone] == [0]
        assert await spoken.ask(chat) == "two"
        await spoken.settle()
        assert len(spoken.double.facts.gone) == 1


@pytest.mark.parametrize(("engine", "words"), [
    ("vllm", "Unauthorized"), ("llamacpp", "Invalid API Key"), ("openai", "Incorrect API key provided"),
])  # fmt: skip
async def test_a_wrong_key_is_refused_in_the_engines_words(engine: str, words: str) -> None:
    async with speaking(engine) as spoken:
        with pytest.raises(openai.AuthenticationError) as raised:
            await spoken.ask(chat, key="wrong")
        assert words in raised.value.response.text
        assert spoken.double.facts.live == 0


@pytest.mark.parametrize("engine", ["vllm", "openai"])
async def test_an_unknown_model_is_not_found(engine: str) -> None:
    async with speaking(engine) as spoken:
        with pytest.raises(openai.NotFoundError, match="`another` does not exist") as raised:
            await spoken.ask(lambda client: client.chat.completions.create(model="another", messages=HI))
    assert raised.value.param == "model"
    assert raised.value.code == ("404" if engine == "vllm" else "model_not_found")


@pytest.mark.parametrize(("engine", "settings", "told"), [
    ("vllm", VllmSettings(max_model_len=16, api_key=KEY), ("BadRequestError", "400")),
    ("llamacpp", LlamaSettings(n_ctx=16, api_key=KEY), ("exceed_context_size_error", "400")),
    ("openai", OpenAiSettings(max_model_len=16, api_key=KEY), ("invalid_request_error", "context_length_exceeded")),
])  # fmt: skip
async def test_a_prompt_beyond_the_context_is_a_bad_request(
    engine: str, settings: Settings, told: tuple[str, str]
) -> None:
    long = "word " * 17
    async with speaking(engine, settings=settings) as spoken:
        with pytest.raises(openai.BadRequestError, match="context") as raised:
            await spoken.ask(lambda client: client.completions.create(model=MODEL, prompt=long))
    assert (raised.value.type, raised.value.code) == told


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_foreign_page_is_an_error_of_the_server(engine: str) -> None:
    page = Answer(502, b"<html>Bad gateway</html>", "text/html")
    async with speaking(engine, Script.of(page)) as spoken:
        with pytest.raises(openai.InternalServerError) as raised:
            await spoken.ask(chat)
    assert (raised.value.status_code, raised.value.type, raised.value.code) == (502, None, None)
    assert "Bad gateway" in raised.value.response.text


@pytest.mark.parametrize("engine", ["vllm", "llamacpp"])
async def test_an_engine_without_room_keeps_its_client_waiting(engine: str) -> None:
    async with speaking(engine, Script.of(Overload())) as spoken:
        with pytest.raises((openai.APITimeoutError, openai.APIConnectionError)):
            await spoken.ask(lambda client: stream(client.with_options(timeout=0.2)))


async def test_vllm_with_a_bounded_queue_refuses() -> None:
    settings = VllmSettings(slots=1, queue=0)
    async with speaking("vllm", Script.of(Text("One"), Pause(30), Finish()), settings=settings) as spoken:

        def both(client: OpenAI) -> None:
            with client.chat.completions.create(model=MODEL, messages=HI, stream=True) as first:
                next(first)
                chat(client)

        with pytest.raises(openai.InternalServerError, match="currently busy") as raised:
            await spoken.ask(both)
    assert (raised.value.status_code, raised.value.type) == (503, "Service Unavailable")


async def test_vllm_with_a_dead_engine_breaks_its_streams_then_refuses_and_then_goes() -> None:
    settings = VllmSettings(dead_s=2)
    async with speaking("vllm", Script.of(Text("One"), Stall()), settings=settings) as spoken:
        double = spoken.double
        assert isinstance(double, VllmDouble)

        def break_it_on_the_way(client: OpenAI) -> None:
            with client.chat.completions.create(model=MODEL, messages=HI, stream=True) as chunks:
                next(chunks)
                trio.from_thread.run_sync(double.break_engine)
                list(chunks)

        with pytest.raises(openai.APIError, match="EngineCore encountered an issue"):
            await spoken.ask(break_it_on_the_way)
        with pytest.raises(openai.InternalServerError, match="EngineCore encountered an issue"):
            await spoken.ask(chat)
        await trio.sleep(2.1)
        with pytest.raises(openai.APIConnectionError):
            await spoken.ask(chat)
        double.start()
        with pytest.raises(openai.APIConnectionError):  # the script goes on: it stalls, until the client gives up
            await spoken.ask(lambda client: chat(client.with_options(timeout=0.1)))


async def test_an_answer_that_was_aborted_in_the_engine_says_so() -> None:
    def reasons(client: OpenAI) -> list[str | None]:
        chunks = client.chat.completions.create(model=MODEL, messages=HI, stream=True)
        return [choice.finish_reason for chunk in chunks for choice in chunk.choices]

    async with speaking("vllm", Script.of(Text("One"), Finish("abort"))) as spoken:
        # A reason that only vLLM has.
        assert (await spoken.ask(reasons, is_strict=False))[-1] == "abort"
