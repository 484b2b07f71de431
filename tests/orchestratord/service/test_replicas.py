"""Two engines behind one pool, seen from outside: a client's stream, the pool's health, and what is refused."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings, Model, open_llamacpp
from conformance.engines.script import Reset, Script
from tests.support.service import configuration, open_service, task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from conformance.engines.llamacpp import LlamaCppDouble
    from tests.support.service import Service

    Opened = tuple[Service, list[LlamaCppDouble]]

BROKEN = Script.of(Reset())


@asynccontextmanager
async def open_two(*versions: str, **pool: object) -> AsyncIterator[Opened]:
    """Open the service in front of one double for each version, or of two that are the same."""
    builds = versions or ("b9702-1a2b3c4d",) * 2
    links = [Link(name=f"box-{at}") for at in range(len(builds))]
    settings = [LlamaSettings(slots=1, token_s=0.125, model=Model(build_info=build)) for build in builds]
    async with (
        open_llamacpp(settings[0], link=links[0]) as first,
        open_llamacpp(settings[1], link=links[1]) as second,
    ):
        doubles = {"box-0": first, "box-1": second}

        async def dial(host: str, port: int) -> trio.abc.Stream:
            return await doubles[host].dial(host, port)

        replicas = [{"id": name, "settings": {"url": double.url}} for name, double in doubles.items()]
        config = configuration(engine="llamacpp", pool={"replicas": replicas, "probe_interval_ms": 1000, **pool})
        async with open_service(config, dial=dial, is_ready=False) as service:
            await trio.sleep(1)
            yield service, [first, second]


async def replicas_of(service: Service) -> list[dict[str, object]]:
    reply = await service.call("GET", "/v1/pools/default/health")
    return msgspec.convert(reply.data["replicas"], list[dict[str, object]])


@pytest.mark.req("ORCH-3602", "ORCH-3602a", "ORCH-3038")
async def test_a_task_that_meets_a_dead_engine_is_answered_by_another(autojump_clock: MockClock) -> None:
    async with open_two() as (service, doubles):
        doubles[0].stop()
        events = await service.read(await service.admit(engine="llamacpp"))
        assert events.kinds[-1] == "end"
        assert events.frames[0].data["replica_id"] == "box-0"
        assert {"replica_id": "box-1"} in [frame.data for frame in events.frames if frame.event == "metrics"]
        await trio.sleep(2)
        assert [replica["takes_tasks"] for replica in await replicas_of(service)] == [False, True]
        assert (await service.call("GET", "/readyz")).status == 200
        doubles[0].start()
        await trio.sleep(2)
        assert [replica["takes_tasks"] for replica in await replicas_of(service)] == [True, True]


@pytest.mark.req("OC-CTRL-2001a", "ORCH-3602k", "OC-CTRL-2031")
async def test_engines_that_fail_every_task_are_left_alone_and_clients_told_so(autojump_clock: MockClock) -> None:
    breaker = {"failures": 2, "open_ms": 60_000, "cap_ms": 60_000}
    async with open_two(breaker=breaker) as (service, doubles):
        for double in doubles:
            double.load(*[BROKEN] * 4)
        for _ in range(2):
            error = (await service.read(await service.admit(engine="llamacpp"))).frames[-1].data
            assert (error["code"], error["retriable"]) == ("REPLICA_EXHAUSTED", True)
            await trio.sleep(4)
        assert (await service.call("GET", "/readyz")).status == 503
        refused = await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"))
        assert refused.status == 503
        assert refused.data["code"] == "POOL_UNAVAILABLE"
        assert int(str(refused.data["retry_after_ms"])) > 20_000
        assert int(refused.headers["retry-after"]) > 20
        for replica in await replicas_of(service):
            assert (replica["ready"], replica["takes_tasks"], replica["breaker"]) == (True, False, "open")
            assert "left alone after failures" in str(replica["why"])


@pytest.mark.req("OC-CTRL-2001a", "OC-CORE-1032")
async def test_a_replica_of_another_version_is_shown_and_not_used(autojump_clock: MockClock) -> None:
    async with open_two("b9702-1a2b3c4d", "b9999-ffffffff") as (service, _):
        odd = [replica for replica in await replicas_of(service) if not replica["takes_tasks"]]
        assert len(odd) == 1
        assert odd[0]["ready"] is True
        for value in ("b9702-1a2b3c4d", "b9999-ffffffff"):
            assert value in str(odd[0]["why"])
            assert value in str((await service.call("GET", "/v1/pools/default/health")).data["last_error"])
        for _ in range(3):
            events = await service.read(await service.admit(engine="llamacpp"))
            assert events.frames[0].data["replica_id"] != odd[0]["replica_id"]


@pytest.mark.req("AH-1004b", "ORCH-3602", "ORCH-3038", "OC-CORE-1006", "OC-CTRL-2027")
@pytest.mark.parametrize("seed", range(4))
async def test_engines_that_die_and_come_back_under_load_lose_no_task(seed: int, autojump_clock: MockClock) -> None:
    draw = random.Random(seed)
    kinds: list[list[str]] = []
    async with open_two(breaker={"failures": 3}) as (service, doubles), trio.open_nursery() as nursery:

        async def client() -> None:
            for _ in range(12):
                body = task(engine="llamacpp", max_tokens=draw.randrange(1, 12))
                if (await service.call("POST", "/v1/tasks", body=body)).status == 202:
                    kinds.append((await service.read(str(body["task_id"]))).kinds)
                await trio.sleep(draw.random())

        async def reaper(double: LlamaCppDouble) -> None:
            for _ in range(4):
                await trio.sleep(4 * draw.random())
                double.stop()
                await trio.sleep(2 * draw.random())
                double.start()

        for _ in range(6):
            nursery.start_soon(client)
        for double in doubles:
            nursery.start_soon(reaper, double)
        while nursery.child_tasks:  # noqa: ASYNC110 - they end in their own time
            await trio.sleep(1)
        await trio.sleep(35)  # past the cap of every breaker
        last = await service.read(await service.admit(engine="llamacpp"))
        assert last.kinds[-1] == "end"
        assert (service.pool.active_leases, len(service.pool.queue)) == (0, 0)
        assert [replica["takes_tasks"] for replica in await replicas_of(service)] == [True, True]
    assert len(kinds) > 20
    for each in kinds:
        assert each[0] == "started"
        assert [kind for kind in each if kind in {"end", "error"}] == [each[-1]]
    assert "end" in {each[-1] for each in kinds}
