"""Every engine's double twice behind the whole service: two replicas, 64 seeds, one answer.

The doubles make up their words from prompt and seed, so an answer other than the stored one means that a request
reaches its engine changed. Run as a script, this module stores the answers anew.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from trio.testing import MockClock

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from conformance.engines.openai import OpenAiSettings, open_openai
from conformance.engines.tgi import TgiSettings, open_tgi
from conformance.engines.triton import TritonSettings, open_triton
from conformance.engines.vllm import VllmSettings, open_vllm
from tests.support.service import open_service

from .corpus import ANSWERS, answers, cases
from .pairs import ask_both, configuration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from conformance.engines.double import EngineDouble
    from tests.support.service import Service

    from .corpus import Case

    Open = Callable[[Link], AbstractAsyncContextManager[EngineDouble]]

TOKEN_S = 0.01
"""Long enough that one replica is still at work when the second task comes."""
ENGINES: Mapping[str, Open] = {
    "llamacpp": lambda link: open_llamacpp(LlamaSettings(token_s=TOKEN_S), link=link),
    "vllm": lambda link: open_vllm(VllmSettings(token_s=TOKEN_S), link=link),
    "tgi": lambda link: open_tgi(TgiSettings(token_s=TOKEN_S), link=link),
    "openai": lambda link: open_openai(OpenAiSettings(token_s=TOKEN_S), link=link),
    "triton": lambda link: open_triton(TritonSettings(dialect="vllm", token_s=TOKEN_S), link=link),
}
SETTINGS: Mapping[str, Mapping[str, object]] = {"triton": {"model": "vllm_model"}}

SAMPLING = {"temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "stop"}


def cases_for(engine: str) -> list[Case]:
    """Return the corpus as the engine can take it."""
    return [case.without_chat() for case in cases()] if engine == "triton" else cases()


@asynccontextmanager
async def open_replicas(engine: str) -> AsyncIterator[Service]:
    """Open two doubles of the engine, and the service in front of them."""
    doubles: dict[str, EngineDouble] = {}
    async with AsyncExitStack() as stack:
        for name in ("first.test", "second.test"):
            doubles[name] = await stack.enter_async_context(ENGINES[engine](Link(name=name)))

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return await doubles[host].dial(host, port)

        config = configuration({engine: [double.url for double in doubles.values()]}, SETTINGS)
        yield await stack.enter_async_context(open_service(config, dial=dial))


@pytest.mark.req("OC-TEST-7001", "OC-TEST-7002", "OC-CORE-1030", "ADAPT-3003b")
@pytest.mark.parametrize("engine", ENGINES)
async def test_two_replicas_give_the_stored_answer(engine: str, autojump_clock: MockClock) -> None:
    stored = answers()[engine]
    async with open_replicas(engine) as service:
        for case, text in zip(cases_for(engine), stored, strict=True):
            first, second = await ask_both(service, engine, case)
            assert {first.replica, second.replica} == {"r0", "r1"}
            assert first.tokens == second.tokens
            assert first.end == second.end
            assert (first.text, first.seed) == (text, case.seed)


@pytest.mark.req("OC-TEST-7003", "ADAPT-3003a")
async def test_the_engine_is_told_all_that_makes_it_repeat_itself(autojump_clock: MockClock) -> None:
    """Seed and sampling as they were given, and under `strict` no work of an earlier request is used again."""
    async with open_llamacpp() as double:
        urls = {"llamacpp": [double.url]}
        async with open_service(configuration(urls, {}), dial=double.dial) as service:
            for case in cases():
                task = await service.admit(headers=(), **case.fields(), engine="llamacpp", model_ref="llamacpp")
                await service.read(task)
                asked = msgspec.json.decode(double.facts.requests[-1].body)
                assert asked.items() >= {"seed": case.seed, "cache_prompt": False, **case.sampling}.items()
                assert asked.keys().isdisjoint(SAMPLING - case.sampling.keys())


@pytest.mark.req("OC-TEST-7002")
def test_the_corpus_has_64_seeds() -> None:
    corpus = cases()
    assert len({case.seed for case in corpus}) == len(corpus) >= 64
    assert all((case.prompt is None) is not (case.messages is None) for case in corpus)


async def _ask_all() -> dict[str, list[str]]:
    return {engine: await _ask(engine) for engine in ENGINES}


async def _ask(engine: str) -> list[str]:
    async with open_replicas(engine) as service:
        return [(await ask_both(service, engine, case))[0].text for case in cases_for(engine)]


if __name__ == "__main__":
    found = trio.run(_ask_all, clock=MockClock(autojump_threshold=0))
    ANSWERS.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
