"""What the vLLM adapter says of its engine: health, load, capabilities, version, and when it asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterError,
    Capabilities,
    PoolUnavailable,
    Started,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
    installed_engines,
)
from adapters.vllm.server import cache_use
from conformance.engines.host import Link
from conformance.engines.script import Answer, Fail, Pause, Reset, Script, Stall, Step, Text
from conformance.engines.vllm import VllmSettings
from http_util.prometheus import samples
from tests.adapters.rig import SECRET, Outcome, read, request

from .rig import Rig, open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.req("ADAPT-3000", "OC-ADAPT-5020")


def test_it_is_found_by_name() -> None:
    assert "vllm" in installed_engines()


async def test_health_tells_away_from_ready(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)
        rig.double.stop()
        away = await rig.adapter.health()
        assert (away.live, away.ready) == (False, False)
        assert "refused" in away.detail
        rig.double.start(loading_s=2)
        assert not (await rig.adapter.health()).live  # it does not listen yet
        await trio.sleep(2)
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)


@pytest.mark.parametrize(
    ("steps", "live", "words"),
    [
        ((Stall(),), False, "no answer within 2 s"),
        ((Reset(),), False, "closed the connection"),
        ((Answer(503, b""),), True, "HTTP 503: empty body"),
        ((Fail(500, "InternalServerError", f"ill {SECRET}"),), True, "ill"),
        ((Answer(502, b"<html>", "text/html"),), False, "HTTP 502"),
    ],
)
async def test_an_ill_engine_is_a_report_and_no_error(
    steps: tuple[Step, ...], live: bool, words: str, autojump_clock: MockClock
) -> None:
    async with open_rig() as rig:
        rig.double.load(Script(steps), path="/health")
        health = await rig.adapter.health()
    assert (health.live, health.ready) == (live, False)
    assert words in health.detail
    assert SECRET not in health.detail
    assert trio.current_time() <= 2


@pytest.mark.req("OC-ADAPT-5020f")
async def test_props_follow_the_seats_and_the_line(autojump_clock: MockClock) -> None:
    engine = VllmSettings(slots=2)
    async with open_rig(Script.of(Text("a"), Stall()), engine=engine, slots=2) as rig:
        idle = WorkerProps(slots_total=2, slots_free=2, queue_depth=0, kv_cache_usage_ratio=0.0)
        assert await rig.adapter.props() == idle
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read, rig.adapter, request())
            await trio.sleep(0.5)
            assert await rig.adapter.props() == WorkerProps(
                slots_total=2, slots_free=0, queue_depth=1, kv_cache_usage_ratio=0.5
            )
            nursery.cancel_scope.cancel()
        await rig.settle()
        assert await rig.adapter.props() == idle


@pytest.mark.req("OC-ADAPT-5020f")
async def test_seats_that_nobody_told_are_unknown() -> None:
    async with open_rig() as rig:
        assert await rig.adapter.props() == WorkerProps(queue_depth=0, kv_cache_usage_ratio=0.0)
        rig.double.load(Script.of(Fail(404, "NotFoundError", "Not Found")), path="/metrics")
        assert await rig.adapter.props() == WorkerProps()


@pytest.mark.req("OC-ADAPT-5020f")
@pytest.mark.parametrize(
    ("export", "use"),
    [
        (b'vllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:kv_cache_usage_perc{engine="1"} 0.75\n', 0.75),
        (b'vllm:gpu_cache_usage_perc{model_name="m"} 0.5\n', 0.5),
        (b"vllm:kv_cache_usage_perc 7\n", None),
        (b"vllm:kv_cache_usage_perc NaN\n", None),
        (b"", None),
    ],
)
def test_the_fullest_cache_counts(export: bytes, use: float | None) -> None:
    assert cache_use(samples(export)) == use


@pytest.mark.req("ADAPT-3005", "HTU-1002")
async def test_props_are_tried_again_within_their_bound(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        busy = Script.of(Fail(503, "Service Unavailable", "busy"))
        rig.double.load(Script.of(Reset()), busy, Script.of(Answer(200, b"", "text/plain")), path="/metrics")
        assert await rig.adapter.props() == WorkerProps()
        rig.double.stop()
        with pytest.raises(PoolUnavailable):
            await rig.adapter.props()
        assert trio.current_time() <= 4


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-5030")
async def test_capabilities_name_what_the_server_tells() -> None:
    async with open_rig(slots=4, model_digest=f"sha256:{'0' * 64}") as rig:
        assert await rig.adapter.capabilities() == Capabilities(
            engine="vllm",
            engine_version="0.32.0",
            model="tiny",
            model_digest=f"sha256:{'0' * 64}",
            ctx_max=2048,
            max_tokens_out=2048,
            concurrency=4,
            workloads=frozenset({Workload.COMPLETION}),
            features=frozenset({"cancel", "chat", "seed", "stop"}),
        )
        assert rig.double.facts.live == 0


async def test_capabilities_find_what_the_model_is_for(autojump_clock: MockClock) -> None:
    engine = VllmSettings(has_embeddings=True, has_reranking=True)
    async with open_rig(engine=engine, ctx_max=512) as rig:
        capabilities = await rig.adapter.capabilities()
        assert (capabilities.workloads, capabilities.ctx_max) == (frozenset(Workload), 512)
        older = Script.of(Fail(400, "BadRequestError", "The model does not support Embeddings API"))
        rig.double.load(older, path="/v1/embeddings")
        assert Workload.EMBEDDING not in (await rig.adapter.capabilities()).workloads
        rig.double.load(Script.of(Answer(404, b'{"detail":"Not Found"}', "application/json")), path="/v1/completions")
        assert (await rig.adapter.capabilities()).workloads == {Workload.RERANK}


async def test_the_model_may_be_named_and_a_path_is_told_without_its_folders() -> None:
    async with open_rig(engine=VllmSettings(model="/models/tiny"), ctx_max=512) as rig:
        assert (await rig.adapter.capabilities()).model == "tiny"
        await read(rig.adapter, request())
        assert rig.sent("/v1/completions")["model"] == "/models/tiny"
    async with open_rig(model="my-lora") as rig:
        capabilities = await rig.adapter.capabilities()
        assert (capabilities.model, capabilities.ctx_max) == ("my-lora", None)  # not in the list: nothing is known
        assert (await read(rig.adapter, request())).error is not None
        assert rig.sent("/v1/completions")["model"] == "my-lora"


@pytest.mark.req("OC-ADAPT-5030")
async def test_the_version_is_the_engines_own_word_or_the_settings() -> None:
    async with open_rig() as rig:
        assert await rig.adapter.engine_version() == "0.32.0"
        rig.double.load(Script.of(Answer(200, b"{}", "application/json")), path="/version")
        with pytest.raises(AdapterError):
            await rig.adapter.engine_version()
    async with open_rig(engine_version="0.32.0+patch") as rig:
        assert await rig.adapter.engine_version() == "0.32.0+patch"
        assert "/version" not in rig.paths()


async def test_an_address_with_the_openai_path_works_too() -> None:
    async with open_rig(url="http://engine.test:8000/v1") as rig:
        assert (await rig.adapter.health()).ready
        assert (await read(rig.adapter, request(max_tokens=1))).kinds[-1] == "end"


async def started_by(rig: Rig) -> Started:
    started = (await read(rig.adapter, request(max_tokens=1))).events[0]
    assert isinstance(started, Started)
    return started


def upgrade(rig: Rig) -> None:
    rig.double.stop()
    rig.double.settings = VllmSettings(version="0.33.0")
    rig.double.start()


@pytest.mark.req("ADAPT-3003")
async def test_a_restart_seen_by_a_probe_is_told_at_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert (await started_by(rig)).engine_version == "0.32.0"
        rig.double.stop()
        await rig.adapter.health()
        upgrade(rig)
        assert (await started_by(rig)).engine_version == "0.33.0"


async def test_a_restart_that_cut_a_stream_is_told_by_the_next(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Pause(1), Reset())) as rig:
        await read(rig.adapter, request())
        upgrade(rig)
        rig.double.load()
        assert (await started_by(rig)).engine_version == "0.33.0"


async def test_facts_are_asked_for_once_and_remembered() -> None:
    async with open_rig() as rig:
        await started_by(rig)
        await started_by(rig)
        assert rig.paths().count("/version") == rig.paths().count("/v1/models") == 1


async def test_a_server_that_does_not_tell_its_facts_still_works(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Pause(1), Text("b")), timeouts={"health_ms": 500}) as rig:
        rig.double.load(Script.of(Stall()), path="/version")
        outcomes = [Outcome(), Outcome()]
        async with trio.open_nursery() as nursery:
            for outcome in outcomes:
                nursery.start_soon(read, rig.adapter, request(seed=1), outcome)
        assert trio.current_time() == 1.5  # both waited for one and the same call
        for outcome in outcomes:
            assert outcome.kinds == ["started", "token", "token", "end"]
            assert outcome.events[0] == Started(seed=1, tokens_in=1)
        assert "model" not in rig.sent("/v1/completions")  # the server takes its own


async def test_reports_are_bounded_however_slow_the_way(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(latency_s=5)) as rig:
        assert not (await rig.adapter.health()).live
        for ask in (rig.adapter.props, rig.adapter.capabilities, rig.adapter.engine_version):
            with pytest.raises(WorkerError):
                await ask()
        assert trio.current_time() == 8.0


@pytest.mark.req("ADAPT-3002")
async def test_an_adapter_that_is_closed_refuses_everything(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        adapter = rig.adapter
    assert (await adapter.health()).live is False
    for ask in (adapter.props, adapter.capabilities, adapter.engine_version):
        with pytest.raises(PoolUnavailable, match="closed"):
            await ask()
    for task in (request(), request(workload=Workload.EMBEDDING)):
        error = (await read(adapter, task)).error
        assert error is not None
        assert (error.kind, error.retriable) == ("PoolUnavailable", False)
