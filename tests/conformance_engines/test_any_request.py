"""No request, however odd, breaks a double: it is answered, in JSON or as events, and nothing is left behind."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings
from conformance.engines.openai import OpenAiDouble, OpenAiSettings, Quirks
from conformance.engines.server import open_double
from conformance.engines.vllm import VllmDouble, VllmSettings
from tests.conformance_engines.client import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.engines.server import ServerDouble

DOUBLES: dict[str, Callable[[trio.Nursery], ServerDouble]] = {
    "llamacpp": lambda nursery: LlamaCppDouble(
        nursery, LlamaSettings(n_ctx=64, has_embeddings=True, has_reranking=True), Link()
    ),
    "vllm": lambda nursery: VllmDouble(
        nursery, VllmSettings(max_model_len=64, has_embeddings=True, has_reranking=True), Link()
    ),
    "openai": lambda nursery: OpenAiDouble(
        nursery, OpenAiSettings(max_model_len=64, quirks=Quirks(ignores_unknown=True)), Link()
    ),
}
PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/completion", "/rerank", "/tokenize",
    "/detokenize", "/apply-template", "/embeddings", "/v1/models", "/v1/models/x", "/props", "/slots", "/metrics", "/",
)  # fmt: skip
FIELDS = (
    "messages", "prompt", "input", "instructions", "model", "stream", "stream_options", "max_tokens", "n_predict",
    "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "seed", "stop", "n", "echo", "logprobs",
    "query", "documents", "top_n", "content", "tokens", "encoding_format", "dimensions", "return_token_ids",
    "return_progress", "cache_prompt", "repeat_penalty",
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70) | st.floats(-3, 3) | st.text(max_size=6)
    | st.sampled_from(["tiny", "base64", "hex"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["role", "content", "text", "type", "include_usage", "x"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5).map(lambda given: {"model": "tiny", **given})
BODIES = (OBJECTS | VALUES).map(msgspec.json.encode) | st.binary(max_size=8)


@pytest.mark.parametrize("engine", DOUBLES)
@given(requests=st.lists(st.tuples(st.sampled_from(PATHS), BODIES), min_size=1, max_size=2))
def test_any_request_is_answered_and_leaves_nothing_behind(engine: str, requests: list[tuple[str, bytes]]) -> None:
    async def main() -> None:
        async with open_double(DOUBLES[engine]) as double:
            for path, body in requests:
                answer = await ask(double, path, body=body, headers={"Content-Type": "application/json"})
                assert answer.is_whole
                assert answer.status in {200, 400, 401, 404, 405, 422, 500, 501}
                if answer.headers.get("content-type", "").startswith("application/json"):
                    assert set(answer.body.decode()) & set(string.printable)
                    msgspec.json.decode(answer.body)
            await trio.sleep(6)
            await wait_all_tasks_blocked()
            assert (double.facts.live, double.facts.gone, double.facts.connections) == (0, [], 0)

    trio.run(main, clock=MockClock(autojump_threshold=0))
