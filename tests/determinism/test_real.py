"""The real llama.cpp server twice behind the whole service, through its own routes and through OpenAI's.

An engine repeats itself where nothing of an earlier request is used again and nothing else is computed at the same
time: so each has one slot, and a task at a time. Answers differ between builds and processors; none are stored.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.real_llamacpp import start_server
from tests.support.service import open_service

from .corpus import cases
from .pairs import ask_both, configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.real

REPEATS_ITSELF = {"n_parallel": 1, "n_ctx": 2048, "n_ctx_checkpoints": 0}
"""With checkpoints, the chat route computes the same prompt in other batches than `/completion` does, which rounds
otherwise: one of the 64 answers was another one."""
SETTINGS: Mapping[str, Mapping[str, object]] = {"openai": {"extra_body": {"cache_prompt": False}}}
PARTS = 4
"""The corpus in parts, so that no test takes long on a machine that has other work, too."""


@pytest.fixture(scope="module")
def urls() -> Iterator[list[str]]:
    """Start two servers side by side."""
    with ExitStack() as stack:
        servers = [stack.enter_context(start_server(**REPEATS_ITSELF)) for _ in range(2)]
        for server in servers:
            server.wait_ready()
        yield [server.url for server in servers]


@pytest.mark.req("OC-TEST-7001", "OC-TEST-7003", "OC-CORE-1030")
@pytest.mark.parametrize("part", range(PARTS))
async def test_two_engines_and_two_adapters_give_one_answer(urls: list[str], part: int) -> None:
    """64 seeds: the same token frames from both replicas, and the same text through either adapter."""
    async with open_service(configuration({"llamacpp": urls, "openai": urls}, SETTINGS)) as service:
        for case in cases()[part::PARTS]:
            native, again = await ask_both(service, "llamacpp", case)
            common, common_again = await ask_both(service, "openai", case)
            assert {native.replica, again.replica} == {common.replica, common_again.replica} == {"r0", "r1"}
            assert native.tokens == again.tokens, case
            assert common.tokens == common_again.tokens, case
            assert native.end == again.end
            assert native.text == common.text, case
            assert native.seed == common.seed == case.seed


@pytest.mark.req("OC-TEST-7001")
async def test_another_seed_gives_another_answer(urls: list[str]) -> None:
    """The seed matters: else equal answers would say nothing."""
    hot = next(case for case in cases() if case.sampling.get("temperature") == 1.5 and case.max_tokens > 4)
    texts = set()
    async with open_service(configuration({"llamacpp": urls[:1]}, SETTINGS)) as service:
        for seed in range(4):
            fields = {**hot.fields(), "seed": seed, "engine": "llamacpp", "model_ref": "llamacpp"}
            texts.add((await service.read(await service.admit(headers=(), **fields))).text)
    assert len(texts) > 1
