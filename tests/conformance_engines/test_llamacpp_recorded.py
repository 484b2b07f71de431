"""The llama.cpp double answers as the real server did, and the real server still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from tests.conformance_engines.client import HOST, PORT
from tests.conformance_engines.recording import KEY, call, call_all, comparable
from tests.conformance_engines.recording_llamacpp import FLAVOURS, REQUESTS, recorded
from tests.support.real_llamacpp import start_server

if TYPE_CHECKING:
    from tests.conformance_engines.client import Answer
    from tests.conformance_engines.recording import Ask, Recorded

DOUBLES = {
    "plain": LlamaSettings(),
    "closed": LlamaSettings(api_key=KEY, has_slots=False, has_metrics=False),
    "embeddings": LlamaSettings(has_embeddings=True, batch=128),
    "rerank": LlamaSettings(has_embeddings=True, has_reranking=True),
}


def assert_alike(ask: Ask, answer: Answer, real: Recorded) -> None:
    got = comparable(answer.status, answer.headers, answer.body.decode())
    assert got == comparable(real.status, real.headers, real.body), (ask.name, ask.body)


@pytest.mark.parametrize("flavour", DOUBLES)
async def test_the_double_answers_like_the_recorded_server(flavour: str) -> None:
    async with open_llamacpp(DOUBLES[flavour]) as double:
        for ask, real in recorded():
            if ask.flavour == flavour:
                assert_alike(ask, await call(await double.dial(HOST, PORT), ask), real)


@pytest.mark.real
@pytest.mark.interop
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_new_version_of_the_real_server_still_answers_like_its_recording(flavour: str) -> None:
    with start_server(**FLAVOURS[flavour]) as server:
        server.wait_ready()
        answers = await call_all(server.url, REQUESTS, flavour)
    expected = [real for ask, real in recorded() if ask.flavour == flavour]
    for (ask, answer), real in zip(answers, expected, strict=True):
        assert_alike(ask, answer, real)
