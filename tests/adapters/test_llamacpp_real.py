"""The llama.cpp adapter on the real server with a real model."""

from __future__ import annotations

import hashlib
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterContext,
    End,
    FinishReason,
    Message,
    PoolId,
    ReplicaId,
    Sampling,
    Started,
    Token,
    WorkerAdapter,
    WorkerError,
    Workload,
    load_factory,
)
from tests.adapters.rig import Outcome, read, request
from tests.support.real_llamacpp import RealServer, start_server
from tests.support.real_slots import ask, wait_busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.real

LONG = "word " * 1500
ENDLESS = {"max_tokens": 1900, "sampling": Sampling(temperature=1.5)}


@pytest.fixture(scope="session")
def server() -> Iterator[RealServer]:
    with start_server() as server:
        server.wait_ready()
        yield server


@asynccontextmanager
async def open_adapter(server: RealServer, **settings: object) -> AsyncIterator[WorkerAdapter]:
    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.25)
    async with load_factory("llamacpp").open({"url": server.url, **settings}, context) as adapter:
        yield adapter


@pytest.mark.req("OC-ADAPT-5010", "ADAPT-3003")
async def test_a_stream_has_the_engines_counts(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        outcome = await read(adapter, request("Once upon a time", max_tokens=24, seed=7))
        reply = await ask(server, "POST", "/tokenize", {"content": "Once upon a time", "add_special": True})
    started, end = outcome.events[0], outcome.events[-1]
    assert isinstance(started, Started)
    assert isinstance(end, End)
    assert (started.seed, started.tokens_in) == (7, len(reply.json()["tokens"]))
    assert (end.tokens_out, end.finish_reason, end.tokens_in) == (24, FinishReason.LENGTH, started.tokens_in)
    assert 0 < outcome.kinds.count("token") <= 24
    assert end.decode_time_ms > 0


@pytest.mark.req("ADAPT-3003")
async def test_the_same_seed_gives_the_same_text(server: RealServer) -> None:
    texts = []
    async with open_adapter(server) as adapter:
        for seed in (11, 11, 12):
            task = request("The sea is", max_tokens=24, seed=seed, sampling=Sampling(temperature=1.0))
            texts.append((await read(adapter, task)).text)
    assert texts[0] == texts[1] != texts[2]


async def test_a_drawn_seed_repeats_the_text_when_it_is_given_back(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        first = await read(adapter, request("A cat", max_tokens=16))
        started = first.events[0]
        assert isinstance(started, Started)
        again = await read(adapter, request("A cat", max_tokens=16, seed=started.seed))
    assert first.text == again.text != ""


async def test_a_chat_is_answered(server: RealServer) -> None:
    messages = (Message("system", "Answer."), Message("user", "Say hi."))
    async with open_adapter(server) as adapter:
        outcome = await read(adapter, request("", messages=messages, max_tokens=8))
    assert outcome.kinds[0] == "started"
    assert outcome.kinds[-1] == "end"


async def test_a_stop_string_ends_the_text_before_it(server: RealServer) -> None:
    sampling = Sampling(temperature=0.0, stop=("5",))
    async with open_adapter(server) as adapter:
        outcome = await read(adapter, request("1, 2, 3,", max_tokens=24, sampling=sampling))
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert end.finish_reason is FinishReason.STOP
    assert "4" in outcome.text
    assert "5" not in outcome.text


@pytest.mark.req("OC-ADAPT-5001", "OC-ADAPT-5011")
async def test_the_reports_are_the_servers_own(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        assert (await adapter.health()).ready
        props = await adapter.props()
        assert (props.slots_total, props.slots_free, props.queue_depth) == (2, 2, 0)
        capabilities = await adapter.capabilities()
        assert capabilities.engine_version == await adapter.engine_version() != ""
        assert (capabilities.ctx_max, capabilities.concurrency) == (2048, 2)
        assert capabilities.workloads == {Workload.COMPLETION}
        path = trio.Path((await ask(server, "GET", "/props")).json()["model_path"])
        assert capabilities.model_digest == f"sha256:{hashlib.sha256(await path.read_bytes()).hexdigest()}"
        assert capabilities.model == path.name


@pytest.mark.parametrize("way", ["by id", "by leaving"])
@pytest.mark.parametrize("phase", ["prompt", "stream"])
@pytest.mark.req("ADAPT-3101")
async def test_a_cancel_frees_the_slot(server: RealServer, phase: str, way: str) -> None:
    task = request(LONG if phase == "prompt" else "Once", **ENDLESS)
    kinds = []
    async with open_adapter(server) as adapter:
        await wait_busy(server, 0)
        async with adapter.submit(task) as events:
            await wait_busy(server, 1)
            if phase == "stream":
                async for event in events:
                    kinds.append(event.kind)
                    if event.kind == "token":
                        break
            if way == "by id":
                await adapter.cancel(task.task_id)
                kinds += [event.kind async for event in events]
        assert ("token" in kinds) is (phase == "stream")
        assert ("end" in kinds) is (way == "by id")
        await wait_busy(server, 0)


async def test_a_request_beyond_the_slots_waits_and_can_be_cancelled(server: RealServer) -> None:
    outcome, last = Outcome(), request("x", max_tokens=1)
    async with open_adapter(server) as adapter:
        await wait_busy(server, 0)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(read, adapter, request("Once", **ENDLESS))
            await wait_busy(server, 2)
            nursery.start_soon(read, adapter, last, outcome)
            await trio.sleep(0.2)
            assert (await adapter.props()).queue_depth == 1
            await adapter.cancel(last.task_id)
            nursery.cancel_scope.cancel()
        await wait_busy(server, 0)
    assert not any(isinstance(event, Token) for event in outcome.events)


async def test_a_prompt_that_does_not_fit_blames_the_request(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        error = (await read(adapter, request("word " * 5000))).error
    assert error is not None
    assert (error.kind, error.upstream_status, error.blames_request, error.retriable) == ("Adapter", 400, True, False)
    assert "context size" in error.message


async def test_a_bad_parameter_blames_the_request(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        error = (await read(adapter, request("a", sampling=Sampling(repeat_penalty=-1.0)))).error
    assert error is not None
    assert (error.kind, error.blames_request) == ("Adapter", True)
    assert "penalty" in error.message


async def test_embeddings_that_are_off_are_told(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        outcome = await read(adapter, request("", workload=Workload.EMBEDDING, inputs=("a",)))
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.upstream_status) == ("Adapter", 501)


async def test_embeddings_and_rerank_where_they_are_on() -> None:
    with start_server(embedding=True, pooling_type="LLAMA_POOLING_TYPE_RANK") as server:
        server.wait_ready()
        async with open_adapter(server) as adapter:
            assert (await adapter.capabilities()).workloads >= {Workload.RERANK}
            outcome = await read(adapter, request("sea", workload=Workload.RERANK, inputs=("a", "b c")))
            end = outcome.events[-1]
            assert isinstance(end, End)
            assert isinstance(end.result, list)
            assert len(end.result) == 2


async def kill_mid_stream(adapter: WorkerAdapter, server: RealServer) -> WorkerError:
    try:
        async with adapter.submit(request("Once", **ENDLESS)) as events:
            async for event in events:
                if isinstance(event, Token):
                    server.kill()
    except WorkerError as error:
        return error
    pytest.fail("the stream of a killed engine ended well")


@pytest.mark.req("ADAPT-3002", "OC-ADAPT-5001")
async def test_a_server_loads_works_and_dies() -> None:
    with start_server(n_parallel=1) as server:
        details = list[str]()
        async with open_adapter(server) as adapter:
            with trio.fail_after(60):
                for _ in itertools.count():
                    health = await adapter.health()
                    details.append("ready" if health.ready else "loading" if health.live else "away")
                    if health.ready:
                        break
                    await trio.sleep(0.02)
            assert [kind for kind, _ in itertools.groupby(details)] == ["away", "loading", "ready"]
            error = await kill_mid_stream(adapter, server)
            assert (error.kind, error.retriable) == ("WorkerReset", True)
            after = (await read(adapter, request("Once"))).error
            assert after is not None
            assert after.kind == "PoolUnavailable"
            assert not (await adapter.health()).live
