"""The vLLM double answers as the real server did when it was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.engines.script import Script
from conformance.engines.vllm import VllmSettings, open_vllm
from conformance.engines.vllm.double import DEAD
from tests.conformance_engines.recording import KEY, Comparable, call, comparable
from tests.conformance_engines.recording_vllm import FLAVOURS, recorded

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from tests.conformance_engines.recording import Ask

HOST, PORT = "engine.test", 8000
DOUBLES = {
    "plain": VllmSettings(max_model_len=256),
    "closed": VllmSettings(max_model_len=256, api_key=KEY, queue=1),
    "pooling": VllmSettings(max_model_len=256, has_embeddings=True, has_reranking=True, generates=False),
    "dead": VllmSettings(max_model_len=256, dead_s=60),
}
SCRIPTS = {"dead": (Script.of(replace(DEAD, in_stream=True, whole_batch=True)),)}


async def played(flavour: str) -> list[tuple[Ask, Comparable, Comparable]]:
    """Return what the double and the real server answered to each request."""
    pairs = [(ask, real) for ask, real in recorded() if ask.flavour == flavour]
    async with open_vllm(DOUBLES[flavour], *SCRIPTS.get(flavour, ())) as double:
        answers = [await call(await double.dial(HOST, PORT), ask) for ask, _ in pairs]
    return [
        (ask, comparable(got.status, got.headers, got.body.decode()), comparable(real.status, real.headers, real.body))
        for (ask, real), got in zip(pairs, answers, strict=True)
    ]


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_double_answers_like_the_recorded_server(flavour: str) -> None:
    for ask, got, real in await played(flavour):
        if ask.path != "/metrics":
            assert got == real, (ask.name, ask.body)


def metrics(body: JsonValue) -> set[str]:
    assert isinstance(body, list)
    return {str(line) for line in body}


@pytest.mark.parametrize("flavour", ["plain", "closed"])
async def test_the_double_exports_metrics_that_the_recorded_server_has(flavour: str) -> None:
    for ask, got, real in await played(flavour):
        if ask.path == "/metrics":
            assert metrics(got.body) < metrics(real.body)
            assert (got.status, got.headers) == (real.status, real.headers)
