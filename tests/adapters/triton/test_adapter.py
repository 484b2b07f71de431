"""What the adapter makes of a server that does well, by every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterError,
    CorrelationId,
    End,
    FinishReason,
    Message,
    PoolUnavailable,
    Sampling,
    Secret,
    Started,
    Token,
    WorkerProps,
    WorkerReset,
    Workload,
)
from conformance.engines.script import Cut, Fail, Finish, Pause, Script, SplitBytesAt, Text, Usage
from conformance.engines.triton import TritonSettings
from tests.adapters.rig import SECRET, read, request
from tests.adapters.triton.rig import open_triton_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.adapters.rig import Outcome

STREAMED = pytest.mark.parametrize("transport", ["generate", "grpc"])
EVERYWHERE = pytest.mark.parametrize("dialect", ["classic", "bls", "llmapi", "vllm"])
WORDS = Script.of(Text("one"), Pause(0.25), Text(" zwölf"), Pause(0.5), Text(" 🦊"), Finish("stop"))


def end_of(outcome: Outcome) -> End:
    end = outcome.events[-1]
    assert isinstance(end, End)
    return end


@pytest.mark.req("OC-ADAPT-5060", "OC-ADAPT-5070", "ADAPT-3010", "ADAPT-3003", "OC-ADAPT-5060c")
@STREAMED
@EVERYWHERE
async def test_a_completion_in_every_dialect(autojump_clock: MockClock, transport: str, dialect: str) -> None:
    async with open_triton_rig(WORDS, engine=TritonSettings(dialect=dialect), transport=transport) as rig:
        outcome = await read(rig.adapter, request("Say", seed=7, sampler_profile_version="v1"))
    started, *tokens, end = outcome.events
    assert isinstance(started, Started)
    assert started.engine_version is not None
    assert started.engine_version.startswith("triton/2.73.0 ")
    assert (started.seed, started.sampler_profile_version) == (7, "v1")
    assert tokens == [Token("one", 0), Token(" zwölf", 1), Token(" 🦊", 2)]
    assert isinstance(end, End)
    assert (end.decode_time_ms, end.finish_reason) == (750, FinishReason.STOP)


@pytest.mark.req("OC-ADAPT-5060c")
@STREAMED
@pytest.mark.parametrize("dialect", ["bls", "llmapi"])
async def test_repeated_text_survives_any_cut_of_the_bytes(
    autojump_clock: MockClock, transport: str, dialect: str
) -> None:
    script = Script.of(SplitBytesAt((1,)), Text("zw"), Text("ölf"), Text(" 狐"), Text("狸"))
    async with open_triton_rig(script, engine=TritonSettings(dialect=dialect), transport=transport) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is None
    assert outcome.text == "zwölf 狐狸"


@pytest.mark.req("OC-ADAPT-5060")
async def test_what_travels(autojump_clock: MockClock) -> None:
    task = request("Hi", max_tokens=9, seed=7, sampling=Sampling(temperature=0.5), correlation_id=CorrelationId("c-1"))
    async with open_triton_rig() as rig:
        await read(rig.adapter, task)
        sent = rig.sent("/generate_stream")
        headers = rig.double.facts.requests[-1].headers
    assert sent == {
        "id": task.task_id,
        "text_input": "Hi",
        "max_tokens": 9,
        "stream": True,
        "seed": 7,
        "temperature": 0.5,
        "exclude_input_in_output": True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }
    assert dict(headers)["x-correlation-id"] == "c-1"


@pytest.mark.req("OC-ADAPT-5060", "ADAPT-3012")
async def test_facts_are_asked_for_once(autojump_clock: MockClock) -> None:
    async with open_triton_rig() as rig:
        for _ in range(3):
            await read(rig.adapter, request())
        asked = rig.paths()
    model = "/v2/models/ensemble"
    assert asked == [model, "/v2", f"{model}/config", f"{model}/stats", *[f"{model}/generate_stream"] * 3]


@pytest.mark.req("ADAPT-3003", "OC-ADAPT-5070")
async def test_a_restart_is_noticed_by_the_first_request_that_fails(autojump_clock: MockClock) -> None:
    scripts = (Script.of(Text("one"), Cut(clean=False)), Script.of(Text("two")))
    async with open_triton_rig(*scripts) as rig:
        first = await read(rig.adapter, request())
        second = await read(rig.adapter, request())
        asked = rig.paths()
    assert isinstance(first.error, WorkerReset)
    assert second.text == "two"
    assert asked.count("/v2") == 2


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-5060")
@pytest.mark.parametrize("probe", ["health", "props"])
async def test_a_restart_is_noticed_by_a_probe(autojump_clock: MockClock, probe: str) -> None:
    """By health while the engine is away, by statistics when it is back and has counted less."""
    async with open_triton_rig(Script.of(Text("one"))) as rig:
        await read(rig.adapter, request())
        await rig.adapter.props()
        rig.double.stop()
        if probe == "health":
            assert not (await rig.adapter.health()).live
        rig.double.start()
        if probe == "props":
            await rig.adapter.props()
        await read(rig.adapter, request())
        assert rig.paths().count("/v2") == 2


@pytest.mark.req("HTU-1004")
async def test_the_metrics_are_asked_without_the_key(autojump_clock: MockClock) -> None:
    metrics_url = "http://engine.test:8082"
    async with open_triton_rig(api_key=Secret(SECRET), metrics_url=metrics_url) as rig:
        await rig.adapter.props()
        seen = {each.path: dict(each.headers) for each in rig.double.facts.requests}
    assert seen["/v2/models/ensemble/stats"]["authorization"] == f"Bearer {SECRET}"
    assert "authorization" not in seen["/metrics"]


@pytest.mark.req("OC-ADAPT-5060d")
@STREAMED
async def test_counts_are_the_models_own(autojump_clock: MockClock, transport: str) -> None:
    script = Script.of(Text("one", tokens=2), Text(" two", tokens=3), Usage(11, 5))
    async with open_triton_rig(script, engine=TritonSettings(dialect="vllm"), transport=transport) as rig:
        end = end_of(await read(rig.adapter, request()))
    assert (end.tokens_in, end.tokens_out) == (11, 5)


@pytest.mark.req("OC-ADAPT-5060d")
async def test_a_full_count_without_a_finish_reason_is_a_length(autojump_clock: MockClock) -> None:
    script = Script.of(*[Text(" on")] * 4)
    async with open_triton_rig(script) as rig:
        end = end_of(await read(rig.adapter, request(max_tokens=4)))
    assert end.finish_reason is FinishReason.LENGTH


@pytest.mark.req("ADAPT-3003")
async def test_a_seed_is_drawn_and_told(autojump_clock: MockClock) -> None:
    async with open_triton_rig() as rig:
        outcome = await read(rig.adapter, request())
        assert rig.sent("/generate_stream")["seed"] == 2**30
    started = outcome.events[0]
    assert isinstance(started, Started)
    assert started.seed == 2**30


@pytest.mark.req("OC-ADAPT-5060")
async def test_one_piece_through_infer(autojump_clock: MockClock) -> None:
    engine = TritonSettings(is_decoupled=False)
    async with open_triton_rig(Script.of(Text("all "), Text("of it")), engine=engine, transport="infer") as rig:
        outcome = await read(rig.adapter, request("Hi", seed=7))
        sent = rig.sent("/infer")
    assert outcome.error is None
    assert (outcome.kinds, outcome.text) == (["started", "token", "end"], "all of it")
    inputs = sent["inputs"]
    assert isinstance(inputs, list)
    assert {"name": "text_input", "datatype": "BYTES", "shape": [1, 1], "data": ["Hi"]} in inputs
    assert {"name": "seed", "datatype": "UINT64", "shape": [1, 1], "data": [7]} in inputs


@pytest.mark.req("OC-ADAPT-5060")
@STREAMED
async def test_a_model_that_does_not_stream_gives_one_piece(autojump_clock: MockClock, transport: str) -> None:
    engine = TritonSettings(is_decoupled=False)
    async with open_triton_rig(Script.of(Text("all "), Text("of it")), engine=engine, transport=transport) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is None
    assert outcome.text == "all of it"


@pytest.mark.req("OC-ADAPT-5060", "ADAPT-3010")
async def test_vectors_and_scores_through_models_of_their_own(autojump_clock: MockClock) -> None:
    models = {"embedding": {"model": "embedding"}, "rerank": {"model": "ranking"}}
    async with open_triton_rig(settings=models) as rig:
        vectors = end_of(await read(rig.adapter, request(workload=Workload.EMBEDDING, inputs=("a", "b", "a"))))
        scores = end_of(
            await read(rig.adapter, request("red fox", workload=Workload.RERANK, inputs=("dog", "fox red")))
        )
        capabilities = await rig.adapter.capabilities()
    assert isinstance(vectors.result, list)
    assert [len(vector) for vector in vectors.result if isinstance(vector, list)] == [8, 8, 8]
    assert vectors.result[0] == vectors.result[2] != vectors.result[1]
    assert isinstance(scores.result, list)
    dog, fox = scores.result
    assert isinstance(dog, float)
    assert isinstance(fox, float)
    assert dog < 1 < 2 <= fox
    assert capabilities.workloads == frozenset(Workload)


@pytest.mark.req("OC-ADAPT-5060b", "ADAPT-3012")
async def test_a_model_for_vectors_alone(autojump_clock: MockClock) -> None:
    async with (
        open_triton_rig(model="embedding", embedding={"model": "embedding"}) as rig,
        open_triton_rig(model="embedding") as useless,
    ):
        assert (await rig.adapter.health()).ready
        assert (await rig.adapter.capabilities()).workloads == {Workload.EMBEDDING}
        vectors = await read(rig.adapter, request(workload=Workload.EMBEDDING, inputs=("a",)))
        text = await read(rig.adapter, request())
        with pytest.raises(AdapterError, match="no known dialect"):
            await useless.adapter.capabilities()
    assert vectors.error is None
    assert isinstance(text.error, AdapterError)


@pytest.mark.req("OC-ADAPT-5060a")
@pytest.mark.parametrize(
    ("task", "settings", "words", "is_blamed"),
    [
        (request(workload=Workload.EMBEDDING, inputs=("a",)), {}, "no model for embeddings", False),
        (request(workload=Workload.RERANK, inputs=("a",)), {}, "no model for reranking", False),
        (
            request(workload=Workload.EMBEDDING, inputs=("a",)),
            {"embedding": {"model": "embedding", "input": "txet"}},
            "no input 'txet'",
            False,
        ),
        (
            request(workload=Workload.EMBEDDING, inputs=("a",)),
            {"embedding": {"model": "embedding", "output": "vectr"}},
            "",
            False,
        ),
        (request(sampling=Sampling(min_p=0.1)), {}, "no input for `min_p`", True),
        (request(messages=(Message("user", "Hi"),)), {}, "no chat template", True),
        (request(), {"dialect": "llmapi"}, "no input 'streaming'", False),
        (request(), {"dialect": "vllm"}, "no input 'sampling_parameters'", False),
    ],
)
async def test_what_cannot_be_asked_is_refused_before_it_is_asked(
    autojump_clock: MockClock, task: object, settings: dict[str, object], words: str, is_blamed: bool
) -> None:
    async with open_triton_rig(settings=settings) as rig:
        outcome = await read(rig.adapter, task)  # type: ignore[arg-type]
    assert isinstance(outcome.error, AdapterError)
    assert words in outcome.error.message
    assert outcome.error.blames_request is is_blamed


@pytest.mark.req("ADAPT-3002")
async def test_a_number_that_the_model_cannot_hold_is_the_callers_mistake(autojump_clock: MockClock) -> None:
    async with open_triton_rig(transport="grpc") as rig:
        outcome = await read(rig.adapter, request(max_tokens=2**40))
    assert isinstance(outcome.error, AdapterError)
    assert outcome.error.blames_request
    assert outcome.error.message == "completion: `max_tokens` cannot hold the value: it is INT32"


@pytest.mark.req("OC-ADAPT-5060g")
async def test_health_is_that_of_the_model(autojump_clock: MockClock) -> None:
    async with open_triton_rig() as rig, open_triton_rig(engine=TritonSettings(), model="nobody") as other:
        ready, missing = await rig.adapter.health(), await other.adapter.health()
        rig.double.load_model(5)
        loading = await rig.adapter.health()
        rig.double.stop()
        away = await rig.adapter.health()
    assert (ready.live, ready.ready) == (True, True)
    assert (missing.live, missing.ready, missing.detail) in {
        (True, False, "no such model"),
        (True, False, "model not ready"),
    }
    assert (loading.live, loading.ready) == (True, False)
    assert (away.live, away.ready) == (False, False)


@pytest.mark.req("ADAPT-3012", "OC-ADAPT-5060")
async def test_the_queue_is_told_where_metrics_are(autojump_clock: MockClock) -> None:
    engine = TritonSettings(dialect="vllm", slots=1, token_s=1.0)
    async with open_triton_rig(engine=engine, metrics_url="http://engine.test:8082") as rig:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(read, rig.adapter, request(max_tokens=4))
            await trio.sleep(1.5)
            busy = await rig.adapter.props()
        idle = await rig.adapter.props()
    assert busy.queue_depth == 2
    assert idle.queue_depth == 0


@pytest.mark.req("ADAPT-3012")
async def test_without_metrics_the_capacity_is_unknown(autojump_clock: MockClock) -> None:
    async with open_triton_rig() as rig, open_triton_rig(metrics_url="http://engine.test:1") as deaf:
        assert await rig.adapter.props() == await deaf.adapter.props() == WorkerProps()
        rig.double.stop()
        with pytest.raises(PoolUnavailable, match="stats: cannot connect"):
            await rig.adapter.props()


@pytest.mark.req("OC-ADAPT-5070")
@pytest.mark.parametrize(
    ("settings", "version"),
    [
        ({}, "triton/2.73.0 ensemble/1"),
        ({"model_version": "1"}, "triton/2.73.0 ensemble/1"),
        ({"tensorrt_llm_version": "1.2.0"}, "triton/2.73.0 ensemble/1 tensorrt_llm/1.2.0"),
        ({"engine_version": "mine"}, "mine"),
    ],
)
async def test_versions(autojump_clock: MockClock, settings: dict[str, object], version: str) -> None:
    async with open_triton_rig(settings=settings) as rig:
        assert await rig.adapter.engine_version() == version
        assert (await rig.adapter.capabilities()).engine_version == version


@pytest.mark.req("OC-ADAPT-5060")
@STREAMED
async def test_a_version_that_is_named_is_the_one_asked_for(autojump_clock: MockClock, transport: str) -> None:
    async with open_triton_rig(Script.of(Text("one")), model_version="1", transport=transport) as rig:
        outcome = await read(rig.adapter, request())
        asked = rig.paths()
    assert outcome.text == "one"
    assert "/v2/models/ensemble/versions/1" in asked


@pytest.mark.req("HTU-1004", "OC-ADAPT-5060")
@STREAMED
async def test_a_restricted_api_gets_its_header(autojump_clock: MockClock, transport: str) -> None:
    engine = TritonSettings(restricted_header="x-key")
    key = {"api_key": Secret(SECRET), "transport": transport}
    async with (
        open_triton_rig(engine=engine, key_header="x-key", settings=key) as rig,
        open_triton_rig(engine=engine, settings=key) as without,
    ):
        good, bad = await read(rig.adapter, request()), await read(without.adapter, request())
    assert good.error is None
    assert isinstance(bad.error, AdapterError)
    assert SECRET not in bad.error.message


@pytest.mark.req("ORCH-3080")
async def test_the_egress_policy_holds_for_grpc_too(autojump_clock: MockClock) -> None:
    async with open_triton_rig(transport="grpc", permits=lambda _host, port: port == 8080) as rig:
        outcome = await read(rig.adapter, request())
        assert set(rig.dialled) == {8080}
    assert isinstance(outcome.error, AdapterError)
    assert "egress policy" in outcome.error.message


@pytest.mark.req("OC-ADAPT-5060j")
@STREAMED
async def test_a_traceback_is_one_line(autojump_clock: MockClock, transport: str) -> None:
    words = 'Traceback (most recent call last):\n  File "/opt/model.py", line 3\nValueError: no such thing\n'
    script = Script.of(Text("one"), Fail(500, "", words, in_stream=True))
    async with open_triton_rig(script, transport=transport) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is not None
    assert outcome.error.message.endswith(": ValueError: no such thing")
