"""One service in front of five engines: one that dies takes nobody with it, and comes back by itself.

The configuration is the one in `examples/`, with another host: of one that is this machine the llama.cpp adapter would
look for the model file, in a thread, which virtual time does not wait for.
"""

from __future__ import annotations

import tomllib
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import pytest
import trio

from conformance.engines.host import Link
from conformance.engines.llamacpp import open_llamacpp
from conformance.engines.openai import open_openai
from conformance.engines.tgi import open_tgi
from conformance.engines.triton import open_triton
from conformance.engines.vllm import open_vllm
from orchestratord.config import config_from
from tests.support.service import Service, open_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from trio.testing import MockClock

EXAMPLE = Path(__file__).parents[3] / "examples" / "five-engines.toml"
HOST = "engines.test"
PROBE_S = 2.0


class Engine(Protocol):
    """What the test does with an engine."""

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection."""

    def stop(self) -> None:
        """Die."""

    def start(self) -> None:
        """Come back."""


class Opens(Protocol):
    """How an engine is opened at an address."""

    def __call__(self, *, link: Link) -> AbstractAsyncContextManager[Engine]: ...


OPEN: Mapping[str, Opens] = {
    "llamacpp": open_llamacpp,
    "vllm": open_vllm,
    "tgi": open_tgi,
    "triton": open_triton,
    "openai": open_openai,
}
ENGINES = tuple(OPEN)


@asynccontextmanager
async def open_five() -> AsyncIterator[tuple[Service, dict[str, Engine]]]:
    """Yield a service, and the engines by the pool that they are behind."""
    data = tomllib.loads(EXAMPLE.read_text(encoding="utf-8").replace("http://127.0.0.1", f"http://{HOST}"))
    engines: dict[str, Engine] = {}
    by_port: dict[int, Engine] = {}

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return await by_port[port].dial(host, port)

    async with AsyncExitStack() as stack:
        for pool in data["pools"]:
            port = urlsplit(pool["replicas"][0]["settings"]["url"]).port
            opened = OPEN[pool["engine"]](link=Link(name=HOST, port=port))
            engines[pool["id"]] = by_port[port] = await stack.enter_async_context(opened)
        yield await stack.enter_async_context(open_service(config_from(data), dial=dial)), engines


async def pools(service: Service) -> object:
    return (await service.call("GET", "/readyz")).data["pools"]


async def answers(service: Service, engine: str) -> bool:
    events = await service.read(await service.admit(engine=engine, model_ref="small", ctx=100, max_tokens=4, seed=7))
    return [kind for kind in events.kinds if kind != "metrics"] == ["started", *["token"] * 4, "end"]


@pytest.mark.req("ORCH-3038", "ORCH-3038b", "OC-ADAPT-5001", "OC-ADAPT-5020", "OC-ADAPT-5040", "OC-ADAPT-5060")
@pytest.mark.parametrize("dead", ENGINES)
async def test_an_engine_that_dies_degrades_its_own_pool_and_comes_back(dead: str, autojump_clock: MockClock) -> None:
    async with open_five() as (service, engines):
        everybody = dict.fromkeys(ENGINES, True)
        assert await pools(service) == everybody
        assert [await answers(service, engine) for engine in ENGINES] == [True] * len(ENGINES)
        engines[dead].stop()
        await trio.sleep(2 * PROBE_S)
        assert await pools(service) == {**everybody, dead: False}
        health = (await service.call("GET", f"/v1/pools/{dead}/health")).data
        assert (health["live"], health["ready"]) == (False, False)
        assert "refused" in str(health["replicas"])
        with pytest.raises(AssertionError, match="POOL_UNREADY"):
            await service.admit(engine=dead, model_ref="small", ctx=100)
        assert [await answers(service, engine) for engine in set(ENGINES) - {dead}] == [True] * (len(ENGINES) - 1)
        engines[dead].start()
        await trio.sleep(2 * PROBE_S)
        assert await pools(service) == everybody
        assert await answers(service, dead)
