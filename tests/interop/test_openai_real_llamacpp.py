"""The `openai` package is told the same by the llama.cpp double as by the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai
import pytest
import trio
from openai import OpenAI

from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from tests.interop.openai_rig import HI, MODEL, PATIENCE_S
from tests.support.real_llamacpp import start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai.types.chat import ChatCompletionChunk

pytestmark = [pytest.mark.interop, pytest.mark.real]

LONG = "hello world " * 3000


def told_by(url: str) -> list[object]:
    """Return what a client can tell of a server, apart from its texts and figures."""
    with OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=PATIENCE_S) as client:
        return [*_answers(client), *(_failure(client, call) for call in FAILURES)]


def _answers(client: OpenAI) -> Iterator[object]:
    chats = client.chat.completions
    whole = chats.create(model=MODEL, messages=HI, max_tokens=3)
    yield whole.choices[0].finish_reason, whole.choices[0].message.role, whole.usage and whole.usage.completion_tokens
    yield [_facts(chunk) for chunk in chats.create(model=MODEL, messages=HI, max_tokens=3, stream=True, seed=7)]
    counted = chats.create(
        model=MODEL, messages=HI, max_tokens=3, stream=True, seed=7, stream_options={"include_usage": True}
    )
    yield [_facts(chunk) for chunk in counted]
    text = client.completions.create(model=MODEL, prompt="Once upon", max_tokens=3)
    yield text.choices[0].finish_reason, text.usage and text.usage.total_tokens - text.usage.prompt_tokens
    pieces = client.completions.create(model=MODEL, prompt="Once upon", max_tokens=3, stream=True, seed=7)
    yield [(piece.choices[0].finish_reason, piece.usage is not None) for piece in pieces]
    yield [model.owned_by for model in client.models.list()]


def _facts(chunk: ChatCompletionChunk) -> object:
    said = [
        (
            choice.finish_reason,
            choice.delta.role,
            choice.delta.content is not None,
            sorted(choice.delta.model_fields_set),
        )
        for choice in chunk.choices
    ]
    return chunk.object, said, chunk.usage and chunk.usage.completion_tokens, "timings" in (chunk.model_extra or {})


FAILURES: list[Callable[[OpenAI], object]] = [
    lambda client: client.completions.create(model=MODEL, prompt=LONG),
    lambda client: list(client.completions.create(model=MODEL, prompt=LONG, stream=True)),
    lambda client: client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": LONG}]),
    lambda client: client.chat.completions.create(model=MODEL, messages=HI, extra_body={"temperature": "hot"}),
    lambda client: client.embeddings.create(model=MODEL, input="Hi"),
    lambda client: client.models.retrieve(MODEL),
]


def _failure(client: OpenAI, call: Callable[[OpenAI], object]) -> object:
    with pytest.raises(openai.APIStatusError) as raised:
        call(client)
    return type(raised.value).__name__, raised.value.status_code, raised.value.type, raised.value.code


async def test_the_double_and_the_real_server_tell_a_client_the_same() -> None:
    with start_server() as server:
        await trio.to_thread.run_sync(server.wait_ready)
        real = await trio.to_thread.run_sync(told_by, server.url)
    async with open_llamacpp(LlamaSettings()) as double:
        url = await double.serve_tcp()
        played = await trio.to_thread.run_sync(told_by, url)
    assert played == real
