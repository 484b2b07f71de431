"""The Triton adapter on the real server: every transport, every dialect, cancels with their times, refusals.

Named on the command line by `make test-triton`; nothing else collects it.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from adapter_api import (
    AdapterContext,
    AdapterError,
    CancelMode,
    End,
    FinishReason,
    InternalError,
    PoolId,
    PoolUnavailable,
    ReplicaId,
    Sampling,
    Started,
    Token,
    WorkerAdapter,
    WorkerReset,
    Workload,
    load_factory,
)
from tests.adapters.rig import Outcome, read, request
from tests.real_triton.server import LOOK_S, WORDS, Note, RealTriton, now, start_triton

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STREAMED = pytest.mark.parametrize("transport", ["generate", "grpc"])
NOTED_S = 10.0
WHOLE_TEXT = "".join(WORDS)


@asynccontextmanager
async def open_adapter(triton: RealTriton, model: str = "classic", **settings: object) -> AsyncIterator[WorkerAdapter]:
    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.25)
    given = {"url": triton.url, "model": model, "grpc_url": triton.grpc_url, "metrics_url": triton.metrics_url}
    async with load_factory("triton").open({**given, **settings}, context) as adapter:
        yield adapter


def play(**script: object) -> str:
    """Return a prompt that the model plays."""
    return json.dumps(script)


async def noted(triton: RealTriton, request_id: str, *whats: str) -> Note:
    """Wait until the model has seen one of these."""
    with trio.fail_after(NOTED_S):
        while True:
            found = [note for note in triton.notes(request_id) if note.what in whats]
            if found:
                return found[0]
            await trio.sleep(0.01)  # noqa: ASYNC110 - the model writes to a file


@pytest.mark.req("OC-ADAPT-5060", "OC-ADAPT-5070", "ADAPT-3003")
@STREAMED
@pytest.mark.parametrize("model", ["classic", "llmapi", "vllm"])
async def test_a_completion_in_every_dialect(triton: RealTriton, transport: str, model: str) -> None:
    prompt = play(words=len(WORDS), split=model == "classic", repeat=model == "llmapi")
    async with open_adapter(triton, model, transport=transport) as adapter:
        task = request(prompt, max_tokens=100, seed=7, sampling=Sampling(temperature=0.5))
        outcome = await read(adapter, task)
    started, end = outcome.events[0], outcome.events[-1]
    assert isinstance(started, Started)
    assert (started.engine_version, started.seed) == (f"triton/2.51.0 {model}/1", 7)
    assert outcome.error is None
    assert isinstance(end, End)
    assert outcome.text == WHOLE_TEXT
    assert end.finish_reason is (FinishReason.STOP if model == "classic" else FinishReason.LENGTH)
    (asked,) = [note.more for note in triton.notes(task.task_id) if note.what == "asked"]
    assert asked is not None
    assert 7 in (asked.get("seed"), asked.get("sampling_param_seed"), _vllm(asked).get("seed"))
    assert 0.5 in (asked.get("temperature"), asked.get("sampling_param_temperature"), _vllm(asked).get("temperature"))


def _vllm(asked: object) -> dict[str, object]:
    found = (
        json.loads(asked["sampling_parameters"]) if isinstance(asked, dict) and "sampling_parameters" in asked else {}
    )
    return dict(found)


@pytest.mark.req("OC-ADAPT-5060")
async def test_infer_gives_one_piece(triton: RealTriton) -> None:
    async with open_adapter(triton, "whole", transport="infer") as adapter:
        outcome = await read(adapter, request(play(words=3)))
    assert outcome.kinds == ["started", "token", "end"]
    assert outcome.text == "".join(WORDS[:3])


@pytest.mark.req("OC-ADAPT-5060")
@STREAMED
async def test_a_model_that_does_not_stream_is_not_asked_to(triton: RealTriton, transport: str) -> None:
    async with open_adapter(triton, "whole", transport=transport) as adapter:
        outcome = await read(adapter, request(play(words=3)))
    assert outcome.kinds == ["started", "token", "end"]


@pytest.mark.req("OC-ADAPT-5060")
async def test_vectors_come_in_the_order_of_the_inputs(triton: RealTriton) -> None:
    async with open_adapter(triton, embedding={"model": "embedder"}) as adapter:
        outcome = await read(adapter, request("", workload=Workload.EMBEDDING, inputs=("a", "banana", "kiwi")))
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert end.result == [[1.0, 1.0], [6.0, 3.0], [4.0, 0.0]]


@pytest.mark.req("OC-ADAPT-5060a")
async def test_the_server_itself_ignores_a_foreign_field(triton: RealTriton) -> None:
    """Why the adapter looks names up: this request is a typing error, and the server serves it."""
    body = {"text_input": "x", "max_token": 3, "max_tokens": 2, "temprature": 0.1}
    async with httpx.AsyncClient(base_url=triton.url) as client:
        reply = await client.post("/v2/models/classic/generate_stream", json=body)
    assert reply.status_code == 200
    assert reply.text.count("data: ") == 2
    async with open_adapter(triton) as adapter:
        outcome = await read(adapter, request("x", sampling=Sampling(min_p=0.1)))
    assert isinstance(outcome.error, AdapterError)
    assert outcome.error.blames_request
    assert "min_p" in outcome.error.message


@pytest.mark.req("ADAPT-3005", "OC-ADAPT-5060h")
@STREAMED
async def test_a_cancel_while_tokens_come_reaches_the_model(
    triton: RealTriton, transport: str, measured: list[str]
) -> None:
    task = request(play(words=10_000, pause_s=0.02))
    async with open_adapter(triton, transport=transport) as adapter:
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, adapter, task, outcome)
            await noted(triton, task.task_id, "asked")
            await trio.sleep(0.3)
            before = now()
            await adapter.cancel(task.task_id)
            returned = now()
    seen = await noted(triton, task.task_id, "cancelled")
    assert isinstance(outcome.events[-1], End)
    assert outcome.events[-1].canceled
    measured.append(
        f"measured: cancel while tokens come, {transport}: returned after {returned - before:.3f} s,"
        f" model saw it after {seen.at - before:.3f} s (it looks every {LOOK_S} s, a token every 0.02 s)"
    )
    assert seen.at - before < 2


@pytest.mark.req("ADAPT-3005", "OC-ADAPT-5060h")
@STREAMED
async def test_a_cancel_before_the_first_token(triton: RealTriton, transport: str, measured: list[str]) -> None:
    """Over HTTP the server notices a client that has left only when it writes; over gRPC at once."""
    task = request(play(words=1000, prefill_s=2.0, pause_s=0.02))
    async with open_adapter(triton, transport=transport) as adapter:
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, adapter, task, outcome)
            await noted(triton, task.task_id, "asked")
            await trio.sleep(0.2)
            before = now()
            await adapter.cancel(task.task_id)
            returned = now()
    assert outcome.kinds == ["started", "end"]
    seen = await noted(triton, task.task_id, "cancelled")
    measured.append(
        f"measured: cancel 1.8 s before the first token, {transport}: returned after {returned - before:.3f} s,"
        f" model saw it after {seen.at - before:.3f} s"
    )
    assert seen.at - before < (1 if transport == "grpc" else 4)


@pytest.mark.req("OC-ADAPT-5060f")
@STREAMED
async def test_a_stop_by_request_id_reaches_a_model_that_reads_its_prompt(
    triton: RealTriton, transport: str, measured: list[str]
) -> None:
    task = request(play(words=1000, prefill_s=2.0))
    async with open_adapter(triton, "llmapi", transport=transport, stop_by_request_id=True) as adapter:
        assert adapter.cancel_support.mode is CancelMode.ABORT
        outcome = Outcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, adapter, task, outcome)
            await noted(triton, task.task_id, "asked")
            before = now()
            await adapter.cancel(task.task_id)
    seen = await noted(triton, task.task_id, "stopped", "cancelled")
    measured.append(
        f"measured: stop by request id 2 s before the first token, {transport}:"
        f" model saw it after {seen.at - before:.3f} s ({seen.what})"
    )
    assert seen.at - before < 1


@pytest.mark.req("ADAPT-3002", "OC-ADAPT-5060j")
@STREAMED
@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ({"words": 3, "fail_at": 2}, WorkerReset, "the model broke"),
        ({"words": 3, "fail_at": 0, "error": "max_tokens must be a single value > 0"}, AdapterError, "single value"),
        ({"words": 3, "fail_at": 0}, InternalError, "the model broke"),
        ({"words": 3, "fail_at": 1, "error": "Request cancelled by client"}, WorkerReset, "cancelled by client"),
    ],
)
async def test_what_a_model_raises(
    triton: RealTriton, transport: str, script: dict[str, object], kind: type[Exception], words: str
) -> None:
    async with open_adapter(triton, transport=transport) as adapter:
        outcome = await read(adapter, request(play(**script)))
    assert type(outcome.error) is kind
    assert words in str(outcome.error)
    assert sum(isinstance(event, Token) for event in outcome.events) == script["fail_at"]


@pytest.mark.req("ADAPT-3002", "OC-ADAPT-5060j")
async def test_a_traceback_is_told_in_one_line(triton: RealTriton) -> None:
    async with open_adapter(triton, "whole", transport="infer") as adapter:
        outcome = await read(adapter, request(play(words=1, fail_at=0, error="no such thing")))
    assert isinstance(outcome.error, InternalError)
    assert outcome.error.message.endswith("ValueError: no such thing")


@pytest.mark.req("ADAPT-3002")
@STREAMED
async def test_a_full_queue_is_an_unavailable_pool(triton: RealTriton, transport: str) -> None:
    outcomes = [Outcome() for _ in range(5)]
    async with open_adapter(triton, "busy", transport=transport) as adapter, trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(read, adapter, request(play(words=1, prefill_s=0.5)), outcome)
    refused = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert refused
    assert {type(error) for error in refused} == {PoolUnavailable}
    assert all("Exceeds maximum queue size" in str(error) for error in refused)


@pytest.mark.req("OC-ADAPT-5060g", "ADAPT-3012")
async def test_health_tells_a_ready_model_from_a_missing_one(triton: RealTriton) -> None:
    async with open_adapter(triton) as adapter, open_adapter(triton, "nobody") as other:
        assert (await adapter.health()).ready
        health = await other.health()
        outcome = await read(other, request("x"))
    assert (health.live, health.ready) == (True, False)
    assert isinstance(outcome.error, AdapterError)


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-5060", "OC-ADAPT-5070")
async def test_props_and_capabilities(triton: RealTriton) -> None:
    async with open_adapter(triton, embedding={"model": "embedder"}) as adapter:
        props = await adapter.props()
        capabilities = await adapter.capabilities()
        version = await adapter.engine_version()
    assert props.queue_depth == 0
    assert props.slots_total is None
    assert version == "triton/2.51.0 classic/1" == capabilities.engine_version
    assert capabilities.workloads == {Workload.COMPLETION, Workload.EMBEDDING}
    assert capabilities.features == {"cancel", "seed"}


@pytest.mark.req("ADAPT-3005")
async def test_sixty_four_streams_at_once(triton: RealTriton) -> None:
    for transport in ("generate", "grpc"):
        outcomes = [Outcome() for _ in range(64)]
        async with open_adapter(triton, transport=transport) as adapter, trio.open_nursery() as nursery:
            for outcome in outcomes:
                nursery.start_soon(read, adapter, request(play(words=len(WORDS), split=True)), outcome)
        assert {outcome.text for outcome in outcomes} == {WHOLE_TEXT}


@pytest.mark.req("ADAPT-3002")
@STREAMED
async def test_a_server_that_is_killed_under_a_stream(tmp_path: Path, transport: str) -> None:
    with start_triton(tmp_path) as server:
        async with open_adapter(server, transport=transport) as adapter:
            task, outcome = request(play(words=1000, pause_s=0.02)), Outcome()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, adapter, task, outcome)
                await noted(server, task.task_id, "asked")
                await trio.sleep(0.2)
                server.process.kill()
            health = await adapter.health()
            after = await read(adapter, request("x"))
    assert isinstance(outcome.error, WorkerReset)
    assert outcome.text
    assert (health.live, health.ready) == (False, False)
    assert isinstance(after.error, PoolUnavailable)
