"""The vLLM adapter on a real vLLM that computes a tiny model on the CPU."""

from __future__ import annotations

import itertools
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterContext,
    CancelMode,
    Determinism,
    End,
    FinishReason,
    Message,
    PoolId,
    ReplicaId,
    Sampling,
    Secret,
    Started,
    Token,
    WorkerError,
    Workload,
    load_factory,
)
from tests.adapters.rig import Outcome, read, request
from tests.conftest import REAL_STDERR
from tests.support.real_llamacpp import free_port

from .conftest import measured
from .server import KEY, SEATS, RealVllm, start_vllm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from adapter_api import TaskRequest, WorkerAdapter, WorkerProps

    Say = Callable[[str], None]

SEEN_EVERY_S = 0.01
SEEN_WITHIN_S = 15.0
ENDLESS = {"max_tokens": 4000, "sampling": Sampling(temperature=1.0)}
ON_AND_ON = {"extra_body": {"ignore_eos": True}}
# vLLM on a CPU dies of a seed if it reads the prompt in parts, as it does here.
IN_PARTS = {**ON_AND_ON, "draws_seed": False}
CHAT = (Message("system", "Be nice."), Message("user", "Once upon a time"))
LONG = "the river runs past a quiet mill " * 150  # fits into the context, and takes a while to read


@pytest.fixture(scope="module")
def say(pytestconfig: pytest.Config) -> Say:
    """Return what shows a line to whoever waits, past what pytest captures."""
    return lambda words: _write(pytestconfig.stash[REAL_STDERR], f"test-vllm: {words}\n")


def _write(file: int, text: str) -> None:
    os.write(file, text.encode())


@pytest.fixture(scope="module")
def server(say: Say) -> Iterator[RealVllm]:
    say("starting vLLM")
    with start_vllm() as server:
        trio.run(server.wait_ready, say)
        yield server


@asynccontextmanager
async def open_adapter(server: RealVllm, **settings: object) -> AsyncIterator[WorkerAdapter]:
    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.25)
    given = {"url": server.url, "api_key": Secret(KEY), "slots": SEATS, **settings}
    async with load_factory("vllm").open(given, context) as adapter:
        yield adapter


async def wait_for(adapter: WorkerAdapter, is_so: Callable[[WorkerProps], bool]) -> float:
    """Ask for the load until `is_so`; return how long that took, in seconds."""
    began = trio.current_time()
    with trio.fail_after(SEEN_WITHIN_S):
        for _ in itertools.count():
            if is_so(await adapter.props()):
                break
            await trio.sleep(SEEN_EVERY_S)
    return trio.current_time() - began


def is_idle(props: WorkerProps) -> bool:
    return (props.slots_free, props.queue_depth) == (SEATS, 0)


def is_busy(props: WorkerProps) -> bool:
    return props.slots_free == SEATS - 1


async def take_seats(adapter: WorkerAdapter, nursery: trio.Nursery) -> None:
    """Start a request for each seat, one after the other."""
    for taken in range(1, SEATS + 1):
        nursery.start_soon(read, adapter, request("Once", **ENDLESS))
        await wait_for(adapter, partial(_has_free, count=SEATS - taken))


def _has_free(props: WorkerProps, count: int) -> bool:
    return props.slots_free == count


@pytest.mark.req("OC-ADAPT-5020", "OC-ADAPT-5030", "OC-ADAPT-5020f")
async def test_the_reports_are_the_servers_own(server: RealVllm) -> None:
    async with open_adapter(server) as adapter:
        assert (await adapter.health()).ready
        props = await adapter.props()
        assert (props.slots_total, props.slots_free, props.queue_depth) == (SEATS, SEATS, 0)
        assert props.kv_cache_usage_ratio == 0.0
        capabilities = await adapter.capabilities()
        version = await adapter.engine_version()
        assert f'"{version}"' in (await server.ask("/version") or "")
        assert (capabilities.engine_version, capabilities.model, capabilities.ctx_max) == (version, "tiny", 8192)
        assert capabilities.workloads == {Workload.COMPLETION}
        assert capabilities.concurrency == SEATS
        assert adapter.cancel_support.mode is CancelMode.CLOSE


@pytest.mark.req("OC-ADAPT-5020d", "ADAPT-3003")
@pytest.mark.parametrize("is_chat", [False, True], ids=["text", "chat"])
async def test_a_stream_has_the_engines_counts(server: RealVllm, is_chat: bool) -> None:
    task = request("" if is_chat else "Once upon", messages=CHAT if is_chat else (), max_tokens=24, seed=7)
    async with open_adapter(server, **ON_AND_ON) as adapter:
        outcome = await read(adapter, task)
    started, end = outcome.events[0], outcome.events[-1]
    assert isinstance(started, Started)
    assert isinstance(end, End)
    assert started.seed == 7
    assert started.tokens_in == end.tokens_in
    assert (end.tokens_out, end.finish_reason) == (24, FinishReason.LENGTH)
    assert 0 < outcome.kinds.count("token") <= 24
    assert started.engine_version is not None


@pytest.mark.req("ADAPT-3003", "OC-ADAPT-5020g")
async def test_the_same_seed_gives_the_same_text(server: RealVllm) -> None:
    texts = []
    async with open_adapter(server, **ON_AND_ON) as adapter:
        for seed in (11, 11, 12, -1, -1, 2**63 - 1, -(2**63)):
            task = request("The sea is", max_tokens=24, seed=seed, determinism=Determinism.STRICT)
            outcome = await read(adapter, task)
            assert outcome.error is None
            texts.append(outcome.text)
    assert texts[0] == texts[1] != texts[2]
    assert texts[3] == texts[4]


async def test_a_drawn_seed_repeats_the_text_when_it_is_given_back(server: RealVllm) -> None:
    async with open_adapter(server, **ON_AND_ON) as adapter:
        first = await read(adapter, request("A cat", max_tokens=16))
        started = first.events[0]
        assert isinstance(started, Started)
        again = await read(adapter, request("A cat", max_tokens=16, seed=started.seed))
    assert first.text == again.text != ""


async def test_every_sampling_field_is_taken_and_a_stop_string_ends_the_text(server: RealVllm) -> None:
    every = Sampling(
        temperature=0.8,
        top_p=0.9,
        top_k=40,
        min_p=0.01,
        repeat_penalty=1.1,
        presence_penalty=0.1,
        frequency_penalty=0.1,
    )
    async with open_adapter(server, **ON_AND_ON) as adapter:
        whole = await read(adapter, request("Count", max_tokens=48, seed=3, sampling=every))
        assert whole.error is None
        middle = whole.text[len(whole.text) // 2 :][:2]
        stopping = replace(every, stop=(middle,))
        stopped = await read(adapter, request("Count", max_tokens=48, seed=3, sampling=stopping))
    end = stopped.events[-1]
    assert isinstance(end, End)
    assert end.finish_reason is FinishReason.STOP
    assert stopped.text == whole.text[: whole.text.index(middle)]


async def breaks_off(adapter: WorkerAdapter, task: TaskRequest, *, after_tokens: int, by_id: bool) -> float:
    """Break a request off and return how long that took on our side, in seconds."""
    async with adapter.submit(task) as events:
        await wait_for(adapter, is_busy)
        for _ in range(after_tokens):
            while not isinstance(await anext(events), Token):
                pass
        began = trio.current_time()
        if by_id:
            await adapter.cancel(task.task_id)
            assert [event.kind async for event in events][-1:] == ["end"]
    return trio.current_time() - began


@pytest.mark.req("ADAPT-3101", "OC-ADAPT-5020a")
@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by leaving"])
@pytest.mark.parametrize("phase", ["prompt", "stream"])
async def test_a_cancel_frees_the_seat(server: RealVllm, phase: str, by_id: bool) -> None:
    async with open_adapter(server, **IN_PARTS) as adapter:
        for _ in range(3):
            await wait_for(adapter, is_idle)
            task = request(LONG if phase == "prompt" else "Once", **ENDLESS)
            ours_s = await breaks_off(adapter, task, after_tokens=0 if phase == "prompt" else 3, by_id=by_id)
            freed_s = ours_s + await wait_for(adapter, is_idle)
            way = "by id" if by_id else "by leaving"
            measured.append(
                f"cancel {way} in the {phase}: ours {1000 * ours_s:.1f} ms, seat free {1000 * freed_s:.1f} ms"
            )


@pytest.mark.req("ADAPT-3101")
async def test_a_request_in_the_queue_can_be_cancelled(server: RealVllm) -> None:
    outcome, last = Outcome(), request("x", max_tokens=1)
    async with open_adapter(server, **ON_AND_ON) as adapter:
        async with trio.open_nursery() as nursery:
            await take_seats(adapter, nursery)
            assert ((await adapter.props()).kv_cache_usage_ratio or 0) > 0
            nursery.start_soon(read, adapter, last, outcome)
            await wait_for(adapter, lambda props: props.queue_depth == 1)
            full = (await read(adapter, request("y", max_tokens=1))).error
            assert full is not None
            assert (full.kind, full.retriable, full.upstream_status) == ("PoolUnavailable", True, 503)
            began = trio.current_time()
            await adapter.cancel(last.task_id)
            await wait_for(adapter, lambda props: props.queue_depth == 0)
            measured.append(f"cancel in the queue: out of it after {1000 * (trio.current_time() - began):.1f} ms")
            nursery.cancel_scope.cancel()
        await wait_for(adapter, is_idle)
    assert outcome.kinds == ["started", "end"]
    assert outcome.events[-1].data["canceled"] is True


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "word " * 20_000}, "context length"),
        ({"prompt": "a", "max_tokens": 9000}, "max_tokens"),
        ({"prompt": "a", "sampling": Sampling(temperature=-1.0)}, "temperature"),
        ({"prompt": "a", "sampling": Sampling(top_p=7.0)}, "top_p"),
    ],
)
@pytest.mark.req("OC-ADAPT-5020i")
async def test_a_request_that_is_wrong_is_blamed(server: RealVllm, fields: dict[str, object], words: str) -> None:
    async with open_adapter(server) as adapter:
        error = (await read(adapter, request(**fields))).error  # type: ignore[arg-type]  # any field
    assert error is not None
    assert (error.kind, error.upstream_status, error.blames_request, error.retriable) == ("Adapter", 400, True, False)
    assert words in error.message


@pytest.mark.req("OC-ADAPT-5020i")
async def test_what_is_not_there_is_told(server: RealVllm) -> None:
    async with open_adapter(server, model="nobody") as adapter:
        error = (await read(adapter, request())).error
        assert error is not None
        assert (error.kind, error.upstream_status, error.blames_request) == ("Adapter", 404, False)
    async with open_adapter(server) as adapter:
        for workload in (Workload.EMBEDDING, Workload.RERANK):
            error = (await read(adapter, request("q", workload=workload, inputs=("a",)))).error
            assert error is not None
            assert (error.kind, error.upstream_status) == ("Adapter", 404)
    async with open_adapter(server, api_key=Secret("wrong")) as adapter:
        error = (await read(adapter, request())).error
        assert error is not None
        assert (error.kind, error.upstream_status, error.blames_request) == ("Adapter", 401, False)
        assert (await adapter.health()).ready


@pytest.mark.req("OC-ADAPT-5020j")
async def test_a_wait_in_the_queue_is_told_from_a_stuck_engine(server: RealVllm) -> None:
    async with open_adapter(server, **ON_AND_ON) as adapter:
        await wait_for(adapter, is_idle)
        async with trio.open_nursery() as nursery:
            await take_seats(adapter, nursery)
            async with open_adapter(server, **ON_AND_ON, timeouts={"first_token_ms": 1000}) as impatient:
                error = (await read(impatient, request("x", max_tokens=1))).error
            nursery.cancel_scope.cancel()
        await wait_for(adapter, is_idle)
    assert error is not None
    measured.append(f"in the queue for a second: {error!r}")
    assert (error.kind, error.retriable) == ("DeadlineUnmet", True)


async def test_more_requests_than_seats_are_all_answered(server: RealVllm) -> None:
    outcomes = [Outcome() for _ in range(SEATS + 1)]
    async with open_adapter(server, **ON_AND_ON) as adapter:
        await wait_for(adapter, is_idle)
        async with trio.open_nursery() as nursery:
            for number, outcome in enumerate(outcomes):
                nursery.start_soon(read, adapter, request(f"{number}, ", max_tokens=64), outcome)
    assert [outcome.events[-1].data["tokens_out"] for outcome in outcomes] == [64] * len(outcomes)


@pytest.mark.req("ADAPT-3002", "OC-ADAPT-5020b")
async def test_an_engine_dies_under_a_stream_and_another_takes_its_place(say: Say) -> None:
    port = free_port()
    with start_vllm(port) as server:
        async with open_adapter(server, **ON_AND_ON) as adapter:
            assert not (await adapter.health()).live  # it does not listen yet
            await server.wait_ready(say)
            with pytest.raises(WorkerError) as caught:
                async with adapter.submit(request("Once", **ENDLESS)) as events:
                    async for event in events:
                        if isinstance(event, Token):
                            server.kill_engine()
            assert (caught.value.kind, caught.value.retriable) == ("WorkerReset", True)
            measured.append(f"the engine was killed: {caught.value.message}")
            after = (await read(adapter, request())).error
            assert after is not None
            assert after.kind in {"WorkerReset", "PoolUnavailable"}
            assert after.retriable
            assert not (await adapter.health()).ready
    async with open_adapter(server, **ON_AND_ON) as adapter:
        assert not (await adapter.health()).live
        with start_vllm(port) as successor:
            await successor.wait_ready(say)
            assert (await adapter.health()).ready
            assert (await read(adapter, request(max_tokens=4))).kinds[-1] == "end"
