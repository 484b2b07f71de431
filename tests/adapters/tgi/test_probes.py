"""What the adapter tells of a TGI: health, capacity, capabilities, version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from adapter_api import AdapterError, Capabilities, PoolUnavailable, WorkerHealth, WorkerProps, Workload, load_factory
from conformance.engines.script import Accept, Answer, Script, Stall
from conformance.engines.tgi import Model, TgiSettings
from tests.adapters.rig import read, request
from tests.adapters.tgi.rig import open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.req("OC-ADAPT-5040", "OC-ADAPT-5050", "ADAPT-3000", "ADAPT-3012")

DIGEST = f"sha256:{'ab' * 32}"


async def test_a_healthy_engine(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)


async def test_an_engine_whose_own_check_fails_is_live_and_not_ready(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.is_healthy = False
        told = await rig.adapter.health()
        assert (told.live, told.ready) == (True, False)
        assert "unhealthy" in told.detail


async def test_nothing_listens_while_the_engine_loads(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load_model(30)
        told = await rig.adapter.health()
        assert (told.live, told.ready) == (False, False)
        with pytest.raises(PoolUnavailable):
            await rig.adapter.props()
        await trio.sleep(31)
        assert (await rig.adapter.health()).ready


async def test_a_check_that_hangs_is_bounded(autojump_clock: MockClock) -> None:
    async with open_rig(timeouts={"health_ms": 500}) as rig:
        rig.double.load(Script.of(Stall()), path="/health")
        assert not (await rig.adapter.health()).ready
        assert trio.current_time() == pytest.approx(0.5)


@pytest.mark.req("OC-ADAPT-5050b")
async def test_capacity_is_permits_and_gauges(autojump_clock: MockClock) -> None:
    script = Script.of(Accept(), Stall())
    engine = TgiSettings(permits=5, batch=2)
    async with open_rig(script, engine=engine) as rig, trio.open_nursery() as nursery:
        assert await rig.adapter.props() == WorkerProps(slots_total=5, slots_free=5, queue_depth=0)
        for _ in range(3):
            nursery.start_soon(read, rig.adapter, request())
        await trio.sleep(1)
        assert await rig.adapter.props() == WorkerProps(slots_total=5, slots_free=2, queue_depth=1)
        nursery.cancel_scope.cancel()


@pytest.mark.req("OC-ADAPT-5050b")
async def test_our_own_streams_count_where_the_gauges_lag(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Accept(), Stall())) as rig, trio.open_nursery() as nursery:
        rig.double.load(Script.of(Answer(200, b"tgi_queue_size 0\ntgi_batch_current_size 1\n")), path="/metrics")
        for _ in range(3):
            nursery.start_soon(read, rig.adapter, request())
        await trio.sleep(1)
        assert (await rig.adapter.props()).slots_free == 1
        nursery.cancel_scope.cancel()


@pytest.mark.req("OC-ADAPT-5050b", "ADAPT-3000d")
async def test_without_metrics_what_is_free_is_unknown(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(404, b"")), path="/metrics")
        assert await rig.adapter.props() == WorkerProps(slots_total=4)


async def test_capabilities_are_those_of_info(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert await rig.adapter.capabilities() == Capabilities(
            engine="tgi",
            engine_version=Model().engine_version,
            model="org/tiny-llm",
            model_digest=Model().revision,
            ctx_max=2048,
            max_tokens_out=2048,
            concurrency=4,
            workloads=frozenset({Workload.COMPLETION}),
            features=frozenset({"cancel", "chat", "seed", "stop"}),
        )


async def test_settings_take_the_place_of_what_the_engine_tells(autojump_clock: MockClock) -> None:
    async with open_rig(engine_version="mine", model_digest=DIGEST, ctx_max=512) as rig:
        told = await rig.adapter.capabilities()
        assert (told.engine_version, told.model_digest, told.ctx_max) == ("mine", DIGEST, 512)
        assert await rig.adapter.engine_version() == "mine"
        started = (await read(rig.adapter, request())).events[0].data
        assert (started["engine_version"], started["model_digest"]) == ("mine", DIGEST)


@pytest.mark.req("OC-ADAPT-5050a", "ADAPT-3000d")
async def test_an_engine_that_tells_little(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, b'{"model_id":"m"}', "application/json")), path="/info")
        told = await rig.adapter.capabilities()
        assert (told.engine_version, told.model_digest, told.ctx_max, told.concurrency) == ("unknown", None, None, None)
        assert await rig.adapter.props() == WorkerProps(queue_depth=0)
        with pytest.raises(AdapterError):
            await rig.adapter.engine_version()


async def test_an_info_that_is_none(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, b"<html>", "text/html")), path="/info")
        with pytest.raises(AdapterError, match="not the engine's protocol"):
            await rig.adapter.capabilities()


async def test_a_new_process_is_seen(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        first = await rig.adapter.engine_version()
        rig.double.load(Script.of(Answer(200, b'{"model_id":"m","version":"4"}', "application/json")), path="/info")
        assert (first, await rig.adapter.engine_version()) == (Model().engine_version, "4")


async def test_a_probe_learns_what_streams_tell(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.adapter.health()
        assert rig.paths() == ["/health", "/info"]
        assert (await read(rig.adapter, request())).events[0].data["engine_version"] == Model().engine_version
        await rig.adapter.health()
        assert rig.paths().count("/info") == 1


async def test_a_probe_that_fails_is_a_reason_to_ask_again(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.adapter.health()
        rig.double.stop()
        assert not (await rig.adapter.health()).live
        rig.double.start()
        rig.double.load(Script.of(Answer(200, b'{"model_id":"m","version":"4"}', "application/json")), path="/info")
        assert (await read(rig.adapter, request())).events[0].data["engine_version"] == "4"


def test_settings_are_checked_and_described() -> None:
    schema = load_factory("tgi").settings_schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert {"url", "api", "model", "api_key", "timeouts"} <= properties.keys()
    assert all(isinstance(about, dict) and about["description"] for about in properties.values())


@pytest.mark.parametrize("wrong", [{"api": "grpc"}, {"model": ""}, {"slots": 3}, {"timeouts": {"idle_ms": 0}}])
async def test_wrong_settings_are_named(wrong: dict[str, object], autojump_clock: MockClock) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
        async with open_rig(**wrong):  # type: ignore[arg-type]
            pass


async def test_a_closed_adapter_calls_nobody(autojump_clock: MockClock) -> None:
    async with open_rig(api_key="a-key-of-the-engine") as rig:
        adapter = rig.adapter
        assert "a-key-of-the-engine" not in repr(adapter)
    with pytest.raises(PoolUnavailable):
        await adapter.props()
