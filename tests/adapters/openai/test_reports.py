"""What the OpenAI adapter says of its engine: what the interface tells, which is little, and nothing guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterContext,
    AdapterError,
    Capabilities,
    PoolId,
    PoolUnavailable,
    ReplicaId,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
    installed_engines,
    load_factory,
)
from adapters.openai.settings import base_url
from conformance.engines.host import Link
from conformance.engines.openai import OpenAiSettings
from conformance.engines.script import Answer, Fail, Reset, Script, Stall, Step, Text
from http_util.openai_api.models import Model, Models, shown
from tests.adapters.rig import SECRET, read, request

from .rig import PLAIN, open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

pytestmark = pytest.mark.req("ADAPT-3000", "OC-ADAPT-OAI-6002")


def test_it_is_found_by_name() -> None:
    assert "openai" in installed_engines()


async def test_health_tells_away_from_ready(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)
        rig.double.stop()
        away = await rig.adapter.health()
        assert (away.live, away.ready) == (False, False)
        assert "refused" in away.detail
        rig.double.start()
        assert await rig.adapter.health() == WorkerHealth(live=True, ready=True)


@pytest.mark.parametrize(
    ("steps", "live", "words"),
    [
        ((Stall(),), False, "no answer within 2 s"),
        ((Reset(),), False, "closed the connection"),
        ((Answer(503, b""),), True, "HTTP 503: empty body"),
        ((Fail(401, "invalid_api_key", f"Incorrect key {SECRET}"),), True, "Incorrect key"),
        ((Answer(502, b"<html>", "text/html"),), False, "HTTP 502"),
        ((Answer(200, b"<html>", "text/html"),), False, "not the engine's protocol"),
        ((Fail(404, "not_found", "no such route"),), True, "HTTP 404"),
    ],
)
async def test_an_ill_engine_is_a_report_and_no_error(
    steps: tuple[Step, ...], live: bool, words: str, autojump_clock: MockClock
) -> None:
    async with open_rig() as rig:
        rig.double.load(Script(steps), path="/v1/models")
        health = await rig.adapter.health()
        assert rig.paths() == ["/v1/models"]  # once
    assert (health.live, health.ready) == (live, False)
    assert words in health.detail
    assert SECRET not in health.detail
    assert trio.current_time() <= 2


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_a_list_is_ready_if_the_model_is_named(status: int) -> None:
    async with open_rig(model="tiny", workloads=["completion"]) as rig:
        rig.double.load(Script.of(Fail(status, "not_found", "no such route")), path="/v1/models")
        assert (await rig.adapter.health()).ready
        capabilities = await rig.adapter.capabilities()
        assert (capabilities.model, capabilities.ctx_max) == ("tiny", None)
        assert (await read(rig.adapter, request(max_tokens=1))).kinds[-1] == "end"


@pytest.mark.req("OC-ADAPT-OAI-6002a")
async def test_the_capacity_is_unknown() -> None:
    async with open_rig() as rig:
        assert await rig.adapter.props() == WorkerProps()


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-OAI-6010")
async def test_capabilities_name_what_the_server_tells() -> None:
    digest = f"sha256:{'0' * 64}"
    async with open_rig(model_digest=digest, ctx_max=8192) as rig:
        assert await rig.adapter.capabilities() == Capabilities(
            engine="openai",
            engine_version="tiny",
            model="tiny",
            model_digest=digest,
            ctx_max=8192,
            max_tokens_out=8192,
            workloads=frozenset({Workload.COMPLETION, Workload.EMBEDDING}),
            features=frozenset({"cancel", "chat", "seed", "stop"}),
        )
        assert rig.double.facts.live == 0


async def test_features_follow_the_settings() -> None:
    async with open_rig(api="responses") as rig:
        assert (await rig.adapter.capabilities()).features == {"cancel", "chat"}
    async with open_rig(takes_seed=False, workloads=["embedding"]) as rig:
        capabilities = await rig.adapter.capabilities()
        assert capabilities.features == {"cancel", "chat", "stop"}
        assert capabilities.workloads == {Workload.EMBEDDING}
        assert "/v1/embeddings" not in rig.paths()


async def test_a_server_without_embeddings_is_found_out() -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Fail(501, "not_supported_error", "off")), path="/v1/embeddings")
        assert (await rig.adapter.capabilities()).workloads == {Workload.COMPLETION}


@pytest.mark.req("OC-ADAPT-OAI-6010", "OC-ADAPT-OAI-6010a")
async def test_the_version_is_the_settings_word_the_fingerprint_or_the_model() -> None:
    for engine, settings, reported, started in (
        (OpenAiSettings(), {"engine_version": "v9"}, "v9", "v9"),
        (OpenAiSettings(), {}, "tiny", "fp_0123456789"),
        (PLAIN, {}, "tiny", "tiny"),
        (OpenAiSettings(model="/models/x.gguf", fingerprint=None), {}, "x.gguf", "x.gguf"),
    ):
        async with open_rig(Script.of(Text("a")), engine=engine, **settings) as rig:  # type: ignore[arg-type]  # a setting
            assert await rig.adapter.engine_version() == reported
            assert (await rig.adapter.capabilities()).engine_version == reported
            assert (await read(rig.adapter, request())).events[0].data["engine_version"] == started
            assert (await rig.adapter.capabilities()).engine_version == started


@pytest.mark.req("OC-ADAPT-OAI-6010a")
async def test_what_an_answer_told_of_a_server_dies_with_it() -> None:
    async with open_rig(Script.of(Text("a")), engine=OpenAiSettings()) as rig:
        await read(rig.adapter, request())
        assert await rig.adapter.engine_version() == "fp_0123456789"
        rig.double.stop()
        assert not (await rig.adapter.health()).live
        rig.double.start()
        assert await rig.adapter.engine_version() == "tiny"


async def test_a_server_that_lists_no_model_has_no_version() -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, b'{"data":[]}', "application/json")), path="/v1/models")
        with pytest.raises(AdapterError, match="no model"):
            await rig.adapter.engine_version()
        error = (await read(rig.adapter, request())).error  # it is the server that says what is missing
        assert error is not None
        assert "model" in error.message


async def test_the_model_is_looked_up_once_and_only_if_it_is_not_named() -> None:
    async with open_rig(Script.of(Text("a"))) as rig:
        for _ in range(3):
            await read(rig.adapter, request())
        assert rig.paths().count("/v1/models") == 1
    async with open_rig(Script.of(Text("a")), model="tiny") as rig:
        await read(rig.adapter, request())
        assert "/v1/models" not in rig.paths()


async def test_reports_are_bounded_however_slow_the_way(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(latency_s=5)) as rig:
        assert not (await rig.adapter.health()).live
        for ask in (rig.adapter.capabilities, rig.adapter.engine_version):
            with pytest.raises(WorkerError):
                await ask()
        assert trio.current_time() == 6.0


@pytest.mark.req("ADAPT-3002")
async def test_an_adapter_that_is_closed_refuses_everything() -> None:
    async with open_rig(model="tiny") as rig:
        adapter = rig.adapter
    assert (await adapter.health()).live is False
    for ask in (adapter.capabilities, adapter.engine_version):
        with pytest.raises(PoolUnavailable, match="closed"):
            await ask()
    for task in (request(), request(workload=Workload.EMBEDDING)):
        error = (await read(adapter, task)).error
        assert error is not None
        assert (error.kind, error.retriable) == ("PoolUnavailable", False)


@pytest.mark.req("OC-ADAPT-OAI-6001")
@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        ("https://gateway.example/openai/v1beta", "https://gateway.example/openai/v1beta"),
    ],
)
def test_an_address_without_a_path_is_completed(url: str, base: str) -> None:
    assert base_url(url) == base


@pytest.mark.req("OC-ADAPT-OAI-6001")
async def test_a_base_address_is_taken_as_it_is() -> None:
    async with open_rig(Script.of(Text("a"))) as rig:
        context = AdapterContext(
            pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5, dial=rig.double.dial
        )
        for url in (f"{rig.double.url}/v1", f"{rig.double.url}/v1/"):
            async with load_factory("openai").open({"url": url}, context) as adapter:
                assert (await read(adapter, request())).text == "a"


@pytest.mark.req("OC-ADAPT-OAI-6030")
async def test_the_egress_policy_is_asked() -> None:
    asked = []

    def permits(host: str, port: int) -> bool:
        asked.append((host, port))
        return False

    async with open_rig() as rig:
        context = AdapterContext(
            pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5, dial=rig.double.dial, permits=permits
        )
        async with load_factory("openai").open(
            {"url": "https://elsewhere.example/v1", "model": "m"}, context
        ) as adapter:
            error = (await read(adapter, request())).error
            assert not (await adapter.health()).live
        assert rig.double.facts.requests == []
    assert set(asked) == {("elsewhere.example", 443)}
    assert error is not None
    assert not error.retriable


def test_a_model_is_found_by_name_or_as_the_first_that_stands_alone() -> None:
    models = Models([Model("lora", parent="base"), Model("base", max_model_len=9), Model("other")])
    assert models.named(None) == Model("base", max_model_len=9)
    assert models.named("other") == Model("other")
    assert models.named("none") is None
    assert Models([]).named(None) is None


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("/models/g.gguf", "g.gguf"),
        ("C:\\models\\g.gguf", "g.gguf"),
        ("~/models/tiny/", "tiny"),
        ("meta-llama/Llama-3", "meta-llama/Llama-3"),
        ("gpt-5", "gpt-5"),
        ("", ""),
    ],
)
def test_a_path_is_told_without_its_folders(name: str, people: str) -> None:
    assert shown(name) == people
