"""The OpenAI adapter on the real llama.cpp server with a real model, which has OpenAI's routes too."""

from __future__ import annotations

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
    WorkerError,
    Workload,
    load_factory,
)
from tests.adapters.rig import Outcome, read, request
from tests.support.real_llamacpp import RealServer, free_port, start_server
from tests.support.real_slots import ask, wait_busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from adapter_api import TaskRequest, WorkerAdapter

pytestmark = pytest.mark.real

LLAMA = {
    "sampling_fields": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"},
    # What the native adapter sends by itself: no reuse between requests, and signs of life while it reads a prompt.
    "extra_body": {"cache_prompt": False, "return_progress": True},
}
LONG = "word " * 1500
ENDLESS = {"max_tokens": 1900, "sampling": Sampling(temperature=1.5)}
CHAT = (Message("system", "Answer."), Message("user", "Say hi."))


@pytest.fixture(scope="module")
def server() -> Iterator[RealServer]:
    with start_server() as server:
        server.wait_ready()
        yield server


@asynccontextmanager
async def open_adapter(server: RealServer, engine: str = "openai", **settings: object) -> AsyncIterator[WorkerAdapter]:
    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.25)
    own = LLAMA if engine == "openai" else {}
    async with load_factory(engine).open({"url": server.url, **own, **settings}, context) as adapter:
        yield adapter


async def texts(server: RealServer, task: TaskRequest) -> list[str]:
    """Return what the engine says to the same request through either adapter."""
    found = []
    for engine in ("openai", "llamacpp"):
        async with open_adapter(server, engine) as adapter:
            found.append((await read(adapter, task)).text)
    return found


@pytest.mark.req("OC-ADAPT-OAI-6000", "OC-ADAPT-OAI-6006", "OC-ADAPT-OAI-6010")
@pytest.mark.parametrize(
    "fields", [{"prompt": "Once upon a time"}, {"prompt": "", "messages": CHAT}], ids=["text", "chat"]
)
async def test_a_stream_has_the_engines_counts_and_build(server: RealServer, fields: dict[str, object]) -> None:
    async with open_adapter(server) as adapter:
        outcome = await read(adapter, request(**fields, max_tokens=12, seed=7))  # type: ignore[arg-type]
        build = (await ask(server, "GET", "/props")).json()["build_info"]
    started, end = outcome.events[0], outcome.events[-1]
    assert isinstance(started, Started)
    assert isinstance(end, End)
    assert (started.seed, started.engine_version) == (7, build)
    assert (end.tokens_out, end.finish_reason) == (12, FinishReason.LENGTH)
    assert end.tokens_in is not None
    assert end.tokens_in > 2
    assert 0 < outcome.kinds.count("token") <= 12
    assert end.decode_time_ms > 0


@pytest.mark.req("OC-ADAPT-OAI-6003", "OC-ADAPT-OAI-6011", "ADAPT-3003")
@pytest.mark.parametrize("seed", [0, 11, 2**31, 2**32 - 1, 2**32 + 5, 2**63 - 1, -1, -(2**63)])
async def test_the_same_request_and_seed_give_the_same_text_through_either_adapter(
    server: RealServer, seed: int
) -> None:
    sampling = Sampling(temperature=0.9, top_p=0.95, top_k=30, min_p=0.02, repeat_penalty=1.1, stop=("\n\n",))
    one, other = await texts(server, request("The sea is", max_tokens=32, seed=seed, sampling=sampling))
    assert one == other != ""


@pytest.mark.req("OC-ADAPT-OAI-6011")
async def test_the_engines_own_defaults_are_the_same_through_either_adapter(server: RealServer) -> None:
    one, other = await texts(server, request("A cat", max_tokens=32, seed=5))
    assert one == other != ""


async def test_a_chat_says_the_same_through_either_adapter_if_nothing_is_drawn(server: RealServer) -> None:
    # With a temperature the routes differ: this one reads a chat's prompt message by message, so its figures differ in
    # the last digits.
    task = request("", messages=CHAT, max_tokens=24, seed=3, sampling=Sampling(temperature=0.0))
    one, other = await texts(server, task)
    assert one == other != ""


async def test_a_drawn_seed_repeats_the_text_when_it_is_given_back(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        first = await read(adapter, request("A cat", max_tokens=16))
        started = first.events[0]
        assert isinstance(started, Started)
        again = await read(adapter, request("A cat", max_tokens=16, seed=started.seed))
    assert first.text == again.text != ""


async def test_a_stop_string_ends_the_text_before_it(server: RealServer) -> None:
    async with open_adapter(server) as adapter:
        outcome = await read(
            adapter, request("1, 2, 3,", max_tokens=24, sampling=Sampling(temperature=0.0, stop=("5",)))
        )
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert end.finish_reason is FinishReason.STOP
    assert "4" in outcome.text
    assert "5" not in outcome.text


@pytest.mark.req("OC-ADAPT-OAI-6002", "OC-ADAPT-OAI-6002a", "OC-ADAPT-OAI-6010")
async def test_the_reports_say_what_the_interface_tells(server: RealServer) -> None:
    digest = f"sha256:{'a' * 64}"
    async with open_adapter(server, model_digest=digest, ctx_max=2048) as adapter:
        assert (await adapter.health()).ready
        props = await adapter.props()
        assert (props.slots_total, props.slots_free, props.queue_depth, props.kv_cache_usage_ratio) == (None,) * 4
        capabilities = await adapter.capabilities()
        assert capabilities.engine_version == await adapter.engine_version()
        assert capabilities.model == trio.Path((await ask(server, "GET", "/props")).json()["model_path"]).name
        assert (capabilities.model_digest, capabilities.ctx_max) == (digest, 2048)
        assert capabilities.workloads == {Workload.COMPLETION}
    async with open_adapter(server, engine_version="b9000") as adapter:
        assert await adapter.engine_version() == "b9000"


@pytest.mark.parametrize("way", ["by id", "by leaving"])
@pytest.mark.parametrize("phase", ["prompt", "stream"])
@pytest.mark.parametrize("route", ["text", "chat"])
@pytest.mark.req("ADAPT-3101")
async def test_a_cancel_frees_the_slot(server: RealServer, route: str, phase: str, way: str) -> None:
    words = LONG if phase == "prompt" else "Once"
    prompt = {"prompt": words} if route == "text" else {"prompt": "", "messages": (Message("user", words),)}
    task = request(**prompt, **ENDLESS)  # type: ignore[arg-type]
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
            await adapter.cancel(last.task_id)
            nursery.cancel_scope.cancel()
        await wait_busy(server, 0)
    assert not any(isinstance(event, Token) for event in outcome.events)


async def test_more_requests_than_slots_are_all_answered(server: RealServer) -> None:
    outcomes = [Outcome() for _ in range(5)]
    async with open_adapter(server) as adapter, trio.open_nursery() as nursery:
        for number, outcome in enumerate(outcomes):
            nursery.start_soon(read, adapter, request(f"{number}, ", max_tokens=8), outcome)
    assert [outcome.kinds[-1] for outcome in outcomes] == ["end"] * 5


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


async def test_embeddings_where_they_are_on() -> None:
    with start_server(embedding=True, pooling_type="LLAMA_POOLING_TYPE_MEAN") as server:
        server.wait_ready()
        async with open_adapter(server) as adapter:
            assert Workload.EMBEDDING in (await adapter.capabilities()).workloads
            outcome = await read(adapter, request("", workload=Workload.EMBEDDING, inputs=("the sea", "a b c")))
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert isinstance(end.result, list)
    assert len(end.result) == 2
    assert len({len(vector) for vector in end.result}) == 1
    assert end.tokens_in is not None
    assert end.tokens_in > 4


async def kill_mid_stream(adapter: WorkerAdapter, server: RealServer) -> WorkerError:
    try:
        async with adapter.submit(request("Once", **ENDLESS)) as events:
            async for event in events:
                if isinstance(event, Token):
                    server.kill()
    except WorkerError as error:
        return error
    pytest.fail("the stream of a killed engine ended well")


@pytest.mark.req("ADAPT-3002")
async def test_a_server_dies_and_comes_back() -> None:
    port = free_port()
    with start_server(n_parallel=1, port=port) as server:
        server.wait_ready()
        async with open_adapter(server) as adapter:
            error = await kill_mid_stream(adapter, server)
            assert (error.kind, error.retriable) == ("WorkerReset", True)
            after = (await read(adapter, request("Once"))).error
            assert after is not None
            assert (after.kind, after.retriable) == ("PoolUnavailable", True)
            assert not (await adapter.health()).live
            with start_server(n_parallel=1, port=port) as successor:
                successor.wait_ready()
                assert (await adapter.health()).ready
                assert (await read(adapter, request("Once", max_tokens=4))).kinds[-1] == "end"
