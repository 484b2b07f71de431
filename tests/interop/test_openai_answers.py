"""The `openai` package takes the answers of the doubles that speak its protocol for those of the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.engines import made_up
from conformance.engines.script import Accept, Finish, Script, SplitBytesAt, Text, Usage
from tests.interop.openai_rig import ENGINES, HI, MODEL, speaking

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import Completion
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

pytestmark = pytest.mark.interop

HELLO = Script.of(Text("Hel"), Text("lo"), Usage(7, 5), Finish())
ODD = 'caf\u00e9 \u6f22\u5b57 \u2028 \u0085 \U0001f980 \\ " \n'


def chat(client: OpenAI) -> ChatCompletion:
    return client.chat.completions.create(model=MODEL, messages=HI, max_tokens=9)


def chat_stream(client: OpenAI) -> list[ChatCompletionChunk]:
    return list(client.chat.completions.create(model=MODEL, messages=HI, stream=True))


def counted_stream(client: OpenAI) -> list[ChatCompletionChunk]:
    return list(
        client.chat.completions.create(model=MODEL, messages=HI, stream=True, stream_options={"include_usage": True})
    )


def text_stream(client: OpenAI) -> list[Completion]:
    return list(client.completions.create(model=MODEL, prompt="Hi", stream=True))


def said(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_chat_is_answered_in_one_piece(engine: str) -> None:
    async with speaking(engine, HELLO) as spoken:
        answer = await spoken.ask(chat)
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", "Hello", "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 5, 12)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_chat_is_streamed(engine: str) -> None:
    async with speaking(engine, HELLO) as spoken:
        chunks = await spoken.ask(chat_stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert said(chunks) == "Hello"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-2:] == [None, "stop"]
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_usage_of_a_stream_comes_in_a_chunk_of_its_own(engine: str) -> None:
    async with speaking(engine, HELLO) as spoken:
        *chunks, last = await spoken.ask(counted_stream)
    assert said(chunks) == "Hello"
    assert all(chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reason", ["stop", "length"])
async def test_a_text_is_completed_in_one_piece_and_streamed(engine: str, reason: str) -> None:
    async with speaking(engine, Script.of(Text("one"), Text(" two"), Finish(reason))) as spoken:
        whole = await spoken.ask(lambda client: client.completions.create(model=MODEL, prompt="Hi", max_tokens=4))
        chunks = await spoken.ask(text_stream, is_strict=False)  # the package knows no text without a reason
    assert (whole.choices[0].text, whole.choices[0].finish_reason) == ("one two", reason)
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "one two"
    assert chunks[-1].choices[0].finish_reason == reason


@pytest.mark.parametrize("engine", ENGINES)
async def test_any_text_arrives_whole_in_pieces_of_one_byte(engine: str) -> None:
    script = Script.of(Accept(), SplitBytesAt((1,)), *map(Text, ODD))
    async with speaking(engine, script) as spoken:
        assert said(await spoken.ask(chat_stream)) == ODD


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_double_without_a_script_says_as_much_as_it_is_asked_for(engine: str) -> None:
    async with speaking(engine) as spoken:
        first, second = await spoken.ask(chat), await spoken.ask(chat)
    assert first.usage is not None
    assert first.usage.completion_tokens == 9
    assert first.choices[0].finish_reason == "length"
    if engine != "llamacpp":  # which draws a seed where none is given
        assert first.choices[0].message.content == second.choices[0].message.content
    assert first.id != second.id


@pytest.mark.parametrize("engine", ENGINES)
async def test_equal_seeds_give_equal_texts(engine: str) -> None:
    def seeded(client: OpenAI) -> str | None:
        answer = client.chat.completions.create(model=MODEL, messages=HI, max_tokens=9, seed=7)
        return answer.choices[0].message.content

    async with speaking(engine) as spoken:
        assert await spoken.ask(seeded) == await spoken.ask(seeded)


@pytest.mark.parametrize("engine", ENGINES)
async def test_embeddings_are_read_in_base64_and_as_figures(engine: str) -> None:
    model = "tiny-embedding" if engine == "openai" else MODEL
    texts = ["one text", "another"]
    async with speaking(engine) as spoken:
        packed = await spoken.ask(  # the package asks for base64 and unpacks it after its check
            lambda client: client.embeddings.create(model=model, input=texts), is_strict=False
        )
        plain = await spoken.ask(
            lambda client: client.embeddings.create(model=model, input=texts, encoding_format="float")
        )
    assert [item.index for item in packed.data] == [0, 1]
    for text, told, figures in zip(texts, packed.data, plain.data, strict=True):
        assert told.embedding == pytest.approx(made_up.vector(text, 8))
        assert figures.embedding == made_up.vector(text, 8)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 2


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_models_are_listed(engine: str) -> None:
    async with speaking(engine) as spoken:
        models = await spoken.ask(lambda client: client.models.list())
    owners = {"vllm": "vllm", "llamacpp": "llamacpp", "openai": "system"}
    assert {model.owned_by for model in models.data} == {owners[engine]}


async def test_one_model_is_told_of() -> None:
    async with speaking("openai") as spoken:
        assert (await spoken.ask(lambda client: client.models.retrieve(MODEL))).id == MODEL


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_double_has_seen_what_the_client_sent(engine: str) -> None:
    async with speaking(engine, HELLO) as spoken:
        await spoken.ask(chat)
        (seen,) = spoken.double.facts.requests
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == "Bearer sk-of-the-test"
    assert b'"messages":[{"role":"user","content":"Hi"}]' in seen.body.replace(b'": ', b'":').replace(b', "', b',"')
