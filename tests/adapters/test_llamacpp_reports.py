"""What the llama.cpp adapter says of its engine: health, capacity, capabilities, version, and when it asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import (
    AdapterError,
    Capabilities,
    Message,
    PoolUnavailable,
    Started,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
    installed_engines,
)
from adapters.llamacpp import reports
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.llamacpp.replies import Model
from conformance.engines.script import Accept, Answer, Fail, Pause, Reset, Script, Stall, Step, Text
from tests.adapters.rig import SECRET, Outcome, Rig, open_rig, read, request

if TYPE_CHECKING:
    from trio.testing import MockClock

OTHER = Model(path="/models/other.gguf", build_info="b9999-ffffffff")


def test_it_is_found_by_name() -> None:
    assert "llamacpp" in installed_engines()


@pytest.mark.req("ADAPT-3000", "OC-ADAPT-5001")
async def test_health_tells_loading_from_away_from_ready(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)
        rig.double.stop()
        away = await rig.adapter.health()
        assert (away.live, away.ready) == (False, False)
        assert "refused" in away.detail
        rig.double.start(loading_s=2)
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=False, detail="loading model")
        await trio.sleep(2)
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)


@pytest.mark.parametrize(
    ("steps", "live", "words"),
    [
        ((Stall(),), False, "no answer within 2 s"),
        ((Accept(), Stall()), False, "no answer within 2 s"),
        ((Reset(),), False, "closed the connection"),
        ((Fail(500, "server_error", f"ill {SECRET}"),), True, "ill"),
        ((Fail(401, "authentication_error", "Invalid API Key"),), True, "Invalid API Key"),
        ((Answer(502, b"<html>", "text/html"),), False, "HTTP 502"),
        ((Answer(200, b"<html>", "text/html"),), False, "not the engine's protocol"),
        ((Text('{"status":"no slot available"}'),), True, "not ok"),
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


async def test_health_is_asked_once_and_bounded(autojump_clock: MockClock) -> None:
    async with open_rig(timeouts={"health_ms": 250}) as rig:
        rig.double.load(Script.of(Fail(503, "unavailable_error", "Loading model")), path="/health")
        await rig.adapter.health()
        assert rig.paths() == ["/health"]
        rig.double.load(Script.of(Stall()), path="/health")
        await rig.adapter.health()
        assert trio.current_time() == 0.25


@pytest.mark.req("ADAPT-3000", "OC-ADAPT-5001")
async def test_props_follow_the_slots_and_the_line(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Stall()), engine=LlamaSettings(slots=2)) as rig:
        assert await rig.adapter.props() == WorkerProps(slots_total=2, slots_free=2, queue_depth=0)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read, rig.adapter, request())
            await trio.sleep(0.5)
            assert await rig.adapter.props() == WorkerProps(slots_total=2, slots_free=0, queue_depth=1)
            nursery.cancel_scope.cancel()
        await rig.settle()
        assert await rig.adapter.props() == WorkerProps(slots_total=2, slots_free=2, queue_depth=0)


@pytest.mark.parametrize(
    ("engine", "free", "queue"),
    [
        (LlamaSettings(slots=3, has_slots=False), 2, 0),
        (LlamaSettings(slots=3, has_metrics=False), 2, None),
        (LlamaSettings(slots=3, has_slots=False, has_metrics=False), None, None),
    ],
)
async def test_props_make_do_with_what_is_on(
    engine: LlamaSettings, free: int | None, queue: int | None, autojump_clock: MockClock
) -> None:
    async with open_rig(Script.of(Text("a"), Stall()), engine=engine) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, request())
        await trio.sleep(0.5)
        props = await rig.adapter.props()
        assert (props.slots_total, props.slots_free, props.queue_depth) == (3, free, queue)
        nursery.cancel_scope.cancel()


async def test_a_report_that_is_promised_and_refused_is_unknown() -> None:
    async with open_rig() as rig:
        for path in ("/slots", "/metrics"):
            rig.double.load(Script.of(Fail(501, "not_supported_error", "off")), path=path)
        assert await rig.adapter.props() == WorkerProps(slots_total=2)


async def test_an_old_build_exports_its_cache_use() -> None:
    text = b"llamacpp:kv_cache_usage_ratio 0.25\nllamacpp:requests_deferred 4\nllamacpp:requests_processing 1\n"
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, text)), path="/metrics")
        props = await rig.adapter.props()
    assert (props.kv_cache_usage_ratio, props.queue_depth) == (0.25, 4)


@pytest.mark.req("ADAPT-3005", "HTU-1002", "ADAPT-3005a")
async def test_props_are_tried_again_within_their_bound(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        busy = Script.of(Fail(503, "unavailable_error", "busy"))
        rig.double.load(Script.of(Reset()), busy, Script.of(Text("[]")), path="/slots")
        assert (await rig.adapter.props()).slots_total == 0
        rig.double.stop()
        with pytest.raises(PoolUnavailable):
            await rig.adapter.props()
        assert trio.current_time() <= 4


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-5011")
async def test_capabilities_name_what_the_server_has_on() -> None:
    async with open_rig(model_digest=f"sha256:{'0' * 64}") as rig:
        assert await rig.adapter.capabilities() == Capabilities(
            engine="llamacpp",
            engine_version="b9702-1a2b3c4d",
            model="tiny-q8_0.gguf",
            model_digest=f"sha256:{'0' * 64}",
            ctx_max=2048,
            max_tokens_out=2048,
            concurrency=2,
            workloads=frozenset({Workload.COMPLETION}),
            features=frozenset({"cancel", "chat", "kv_reuse", "seed", "stop"}),
        )


async def test_capabilities_find_embeddings_and_rerank_without_work() -> None:
    async with open_rig(engine=LlamaSettings(has_embeddings=True, has_reranking=True), ctx_max=512) as rig:
        capabilities = await rig.adapter.capabilities()
        assert capabilities.workloads == frozenset(Workload)
        assert capabilities.ctx_max == 512
        assert rig.double.facts.live == 0


async def test_embeddings_without_pooling_are_none() -> None:
    async with open_rig() as rig:
        refusal = Fail(400, "invalid_request_error", "Pooling type 'none' is not OAI compatible. Please use another")
        rig.double.load(Script.of(refusal), path="/v1/embeddings")
        assert (await rig.adapter.capabilities()).workloads == {Workload.COMPLETION}


async def test_a_server_of_several_models_has_no_capacity_to_tell() -> None:
    props = b'{"role":"router","model_path":"none","default_generation_settings":{"n_ctx":0},"build_info":"b1-a"}'
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, props, "application/json")), path="/props")
        assert await rig.adapter.props() == WorkerProps()
        capabilities = await rig.adapter.capabilities()
        assert (capabilities.ctx_max, capabilities.concurrency) == (None, None)


@pytest.mark.req("ADAPT-3000", "OC-ADAPT-5011a")
async def test_the_version_is_the_engines_own_word() -> None:
    async with open_rig() as rig:
        assert await rig.adapter.engine_version() == "b9702-1a2b3c4d"
        rig.double.load(Script.of(Answer(200, b"{}", "application/json")), path="/props")
        with pytest.raises(AdapterError, match="version"):
            await rig.adapter.engine_version()


async def started_by(rig: Rig) -> Started:
    started = (await read(rig.adapter, request(max_tokens=1))).events[0]
    assert isinstance(started, Started)
    return started


def restart_with_another_model(rig: Rig) -> None:
    rig.double.stop()
    rig.double.settings = LlamaSettings(model=OTHER)
    rig.double.start()


@pytest.mark.req("ADAPT-3003")
async def test_a_restart_seen_by_a_probe_is_told_at_once(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert (await started_by(rig)).engine_version == "b9702-1a2b3c4d"
        rig.double.stop()
        await rig.adapter.health()
        restart_with_another_model(rig)
        assert (await started_by(rig)).engine_version == OTHER.build_info


async def test_a_restart_that_cut_a_stream_is_told_by_the_next(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Pause(1), Reset())) as rig:
        await read(rig.adapter, request())
        restart_with_another_model(rig)
        rig.double.load()
        assert (await started_by(rig)).engine_version == OTHER.build_info


async def test_an_engine_that_no_longer_tells_is_not_guessed(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await rig.adapter.health()
        rig.double.stop()
        await rig.adapter.health()
        rig.double.start()
        rig.double.load(Script.of(Fail(404, "not_found_error", "File Not Found")), path="/props")
        assert (await started_by(rig)).engine_version is None


async def test_a_restart_that_nobody_saw_is_told_after_one_request() -> None:
    async with open_rig() as rig:
        await rig.adapter.health()
        restart_with_another_model(rig)
        await started_by(rig)
        assert (await started_by(rig)).engine_version == OTHER.build_info


async def test_what_becomes_of_one_stream_does_not_touch_what_another_tells(autojump_clock: MockClock) -> None:
    script = Script.of(Pause(1), Accept(), Pause(1), Text("a"))
    task, outcome = request(), Outcome()
    async with open_rig(script) as rig:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, rig.adapter, task)
            nursery.start_soon(read, rig.adapter, request(), outcome)
            await trio.sleep(0.5)
            await rig.adapter.cancel(task.task_id)
            rig.double.load(Script.of(Stall()), path="/props")
            nursery.start_soon(read, rig.adapter, request())  # asks, and waits for the answer
        started = outcome.events[0]
    assert isinstance(started, Started)
    assert started.engine_version == "b9702-1a2b3c4d"


async def test_props_and_version_always_ask() -> None:
    async with open_rig() as rig:
        await rig.adapter.engine_version()
        restart_with_another_model(rig)
        assert await rig.adapter.engine_version() == OTHER.build_info
        assert (await started_by(rig)).engine_version == OTHER.build_info


@pytest.mark.req("OC-ADAPT-5011b")
async def test_a_server_that_does_not_tell_its_facts_still_works(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Pause(1), Text("b")), timeouts={"health_ms": 500}) as rig:
        rig.double.load(Script.of(Stall()), path="/props")
        outcomes = [Outcome(), Outcome()]
        async with trio.open_nursery() as nursery:
            for outcome in outcomes:
                nursery.start_soon(read, rig.adapter, request(seed=1), outcome)
        assert trio.current_time() == 1.5  # both waited for one and the same call
        for outcome in outcomes:
            assert outcome.kinds == ["started", "token", "token", "end"]
            assert outcome.events[0] == Started(seed=1, tokens_in=2, kv_warmth=False)


async def test_reports_are_bounded_however_slow_the_way(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(latency_s=5)) as rig:
        assert not (await rig.adapter.health()).live
        for ask in (rig.adapter.props, rig.adapter.capabilities, rig.adapter.engine_version):
            with pytest.raises(WorkerError):
                await ask()
        assert trio.current_time() == 8.0


@given(body=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"llamacpp:{text}".encode()))
def test_any_text_is_read_as_metrics(body: bytes) -> None:
    assert isinstance(reports.gauges(body), reports.Gauges)


@given(value=st.floats() | st.integers())
def test_figures_of_metrics_are_sane(value: float) -> None:
    found = reports.gauges(f"llamacpp:requests_deferred {value}\nllamacpp:kv_cache_usage_ratio {value}\n".encode())
    assert found.deferred is None or found.deferred >= 0
    assert found.kv_usage is None or 0 <= found.kv_usage <= 1


@pytest.mark.parametrize(
    ("alias", "path", "model"),
    [
        ("gemma", "/models/g.gguf", "gemma"),
        ("/models/g.gguf", "/models/g.gguf", "g.gguf"),
        ("", "C:\\models\\g.gguf", "g.gguf"),
        ("", "", "unknown"),
    ],
)
def test_a_model_is_named_without_its_folder(alias: str, path: str, model: str) -> None:
    facts = reports.engine_facts(
        b'{"model_alias":"%b","model_path":"%b"}' % (alias.encode(), path.replace("\\", "\\\\").encode())
    )
    assert facts.model == model
    assert "models" not in repr(facts)


@pytest.mark.req("ADAPT-3002")
async def test_an_adapter_that_is_closed_refuses_everything(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        adapter = rig.adapter
    assert (await adapter.health()).live is False
    for ask in (adapter.props, adapter.capabilities, adapter.engine_version):
        with pytest.raises(PoolUnavailable, match="closed"):
            await ask()
    for task in (request(), request("", messages=(Message("user", "hi"),)), request(workload=Workload.EMBEDDING)):
        error = (await read(adapter, task)).error
        assert isinstance(error, PoolUnavailable)
        assert not error.retriable
    assert trio.current_time() == 0


@pytest.mark.req("ADAPT-3000", "ADAPT-3003")
async def test_a_version_may_be_named_for_a_build_that_does_not_know_its_own() -> None:
    async with open_rig(engine_version="package-1.2") as rig:
        assert await rig.adapter.engine_version() == "package-1.2"
        assert (await rig.adapter.capabilities()).engine_version == "package-1.2"
        assert (await started_by(rig)).engine_version == "package-1.2"
