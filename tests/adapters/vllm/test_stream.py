"""What the vLLM adapter makes of streams and answers that go well, and what it sends."""

from __future__ import annotations

from typing import cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapter_api import (
    Determinism,
    End,
    FinishReason,
    Message,
    Metrics,
    Sampling,
    Started,
    Token,
    Workload,
)
from adapters.vllm import mapping
from conformance.engines.script import Answer, Finish, Malformed, Pause, Script, SplitBytesAt, Text, Usage
from conformance.engines.vllm import VllmSettings
from tests.adapters.rig import Outcome, read, request

from .rig import open_rig

CHAT = (Message("system", "be nice"), Message("user", "hi"))
WORDS = Script.of(Text(" one"), Text(" two"), Text(" three"))
COUNTS = {"include_usage": True, "continuous_usage_stats": True}
CHATTER = b'data: {"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"so so "}}]}\n\n'


@pytest.mark.req("ADAPT-3010", "ADAPT-3003", "OC-ADAPT-5020", "OC-ADAPT-5020d", "OC-ADAPT-5030")
async def test_a_completion_starts_gives_its_tokens_and_ends(autojump_clock: MockClock) -> None:
    script = Script.of(Text(" one"), Pause(0.25), Text(" two"), Pause(0.5), Text("!"), Finish("stop"))
    digest = f"sha256:{'0' * 64}"
    async with open_rig(script, model_digest=digest) as rig:
        outcome = await read(rig.adapter, request("Say it", seed=7, sampler_profile_version="v1"))
    assert outcome.events == [
        Started(engine_version="0.32.0", model_digest=digest, seed=7, tokens_in=2, sampler_profile_version="v1"),
        Token(" one", 0),
        Token(" two", 1),
        Token("!", 2),
        End(tokens_out=3, decode_time_ms=750, finish_reason=FinishReason.STOP, tokens_in=2),
    ]


@pytest.mark.req("OC-ADAPT-5020d")
async def test_the_counts_are_the_engines_own() -> None:
    async with open_rig(Script.of(Text(" caf"), Text("é", tokens=2), Text(""), Text("!"), Usage(41, 17))) as rig:
        end = (await read(rig.adapter, request())).events[-1]
    assert isinstance(end, End)
    assert (end.tokens_in, end.tokens_out) == (41, 17)


@pytest.mark.parametrize(
    ("reason", "expected", "engines_own"),
    [
        ("stop", FinishReason.STOP, None),
        ("length", FinishReason.LENGTH, None),
        ("repetition", FinishReason.OTHER, "repetition"),
    ],
)
async def test_finish_reasons_are_translated(reason: str, expected: FinishReason, engines_own: str | None) -> None:
    async with open_rig(Script.of(Text("a"), Finish(reason))) as rig:
        end = (await read(rig.adapter, request())).events[-1]
    assert isinstance(end, End)
    assert (end.finish_reason, end.engine_finish_reason) == (expected, engines_own)


async def test_a_completion_without_a_token_is_legal() -> None:
    async with open_rig(Script.of(Finish("stop"))) as rig:
        assert (await read(rig.adapter, request())).kinds == ["started", "end"]


@pytest.mark.req("OC-ADAPT-5020e", "OC-ADAPT-OAI-6006a")
async def test_thinking_is_progress_and_no_text(autojump_clock: MockClock) -> None:
    thinks = (Malformed(CHATTER), Pause(4))
    async with open_rig(Script.of(*thinks * 3, Text("Yes")), timeouts={"first_token_ms": 5000, "idle_ms": 5000}) as rig:
        outcome = await read(rig.adapter, request("", messages=CHAT))
    assert outcome.text == "Yes"
    told = [event.values["reasoning_chars"] for event in outcome.events if isinstance(event, Metrics)]
    assert told == [6, 12, 18]


async def test_a_thought_that_does_not_go_on_is_silence(autojump_clock: MockClock) -> None:
    script = Script.of(Malformed(CHATTER), Pause(60), Text("late"))
    async with open_rig(script, timeouts={"first_token_ms": 50_000, "idle_ms": 5000}) as rig:
        error = (await read(rig.adapter, request("", messages=CHAT))).error
    assert error is not None
    assert error.message == "completion: silent for 5 s"


@pytest.mark.req("HTU-1003", "ADAPT-3010")
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (5, 1, 7), (1000,)])
@pytest.mark.parametrize("messages", [(), CHAT], ids=["text", "chat"])
async def test_bytes_may_be_cut_anywhere(sizes: tuple[int, ...], messages: tuple[Message, ...]) -> None:
    texts = ("漢字", "😀", "a\u2028b", "\u0085", "é", "\r\n", "data: x\n\n", ' "q" \\')
    script = Script.of(SplitBytesAt(sizes), *(Text(text) for text in texts))
    async with open_rig(script) as rig:
        outcome = await read(rig.adapter, request("" if messages else "Hi", messages=messages))
    assert [event.t for event in outcome.events if isinstance(event, Token)] == list(texts)
    assert outcome.kinds[-1] == "end"


@given(text=st.text(min_size=1, max_size=20), cut=st.integers(1, 600))
def test_a_cut_at_any_byte_changes_nothing(text: str, cut: int) -> None:
    async def main() -> str:
        async with open_rig(Script.of(SplitBytesAt((cut, 100_000)), Text(text), Text("."))) as rig:
            return (await read(rig.adapter, request())).text

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == f"{text}."


@pytest.mark.req("OC-ADAPT-5020", "OC-ADAPT-5020h", "OC-ADAPT-OAI-6003")
async def test_the_request_is_forwarded_exactly() -> None:
    sampling = Sampling(
        temperature=0.25,
        top_p=0.5,
        top_k=3,
        min_p=0.125,
        repeat_penalty=1.5,
        presence_penalty=0.75,
        frequency_penalty=-0.5,
        stop=("END", "\n\n"),
    )
    task = request("Say", max_tokens=9, seed=7, sampling=sampling, correlation_id="c-1")
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, task)
        assert rig.sent("/v1/completions") == {
            "model": "tiny",
            "prompt": "Say",
            "stream": True,
            "stream_options": COUNTS,
            "max_tokens": 9,
            "seed": 7,
            "temperature": 0.25,
            "top_p": 0.5,
            "top_k": 3,
            "min_p": 0.125,
            "repetition_penalty": 1.5,
            "presence_penalty": 0.75,
            "frequency_penalty": -0.5,
            "stop": ["END", "\n\n"],
        }
        headers = rig.double.facts.requests[-1].headers
        assert (headers["x-correlation-id"], headers["x-request-id"]) == ("c-1", f"c-1-{task.task_id}")


async def test_what_was_not_asked_for_is_left_to_the_engine() -> None:
    task = request("Say", seed=7)
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, task)
        assert rig.sent("/v1/completions").keys() == {
            "model",
            "prompt",
            "max_tokens",
            "seed",
            "stream",
            "stream_options",
        }
        assert rig.double.facts.requests[-1].headers["x-request-id"] == task.task_id


async def test_a_chat_goes_to_the_chat_route() -> None:
    async with open_rig(WORDS, extra_body={"chat_template_kwargs": {"enable_thinking": False}, "n": 2}) as rig:
        outcome = await read(rig.adapter, request("", messages=CHAT, max_tokens=9))
        assert outcome.text == " one two three"
        body = rig.sent("/v1/chat/completions")
        assert body["messages"] == [{"role": "system", "content": "be nice"}, {"role": "user", "content": "hi"}]
        assert (body["max_tokens"], body["stream"]) == (9, True)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}


async def test_strictness_takes_a_request_out_of_the_prefix_cache() -> None:
    task = request(determinism=Determinism.STRICT)
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, task)
        assert rig.sent("/v1/completions")["cache_salt"] == task.task_id


async def test_a_seed_is_drawn_and_told_when_none_is_given() -> None:
    async with open_rig(WORDS, random=lambda: 0.75) as rig:
        started = (await read(rig.adapter, request())).events[0]
        assert isinstance(started, Started)
        assert started.seed == rig.sent("/v1/completions")["seed"] == int(0.75 * 2**31)


async def test_a_seed_is_not_drawn_where_the_settings_forbid_it() -> None:
    async with open_rig(WORDS, draws_seed=False) as rig:
        started = (await read(rig.adapter, request())).events[0]
        assert "seed" not in started.data
        assert "seed" not in rig.sent("/v1/completions")
        assert (await read(rig.adapter, request(seed=5))).events[0].data["seed"] == 5
        assert rig.sent("/v1/completions")["seed"] == 5


@pytest.mark.req("OC-ADAPT-5020g")
@given(seed=st.integers(-(2**70), 2**70) | st.integers(-3, 3))
def test_every_seed_becomes_one_that_the_engine_keeps(seed: int) -> None:
    kept = mapping.engine_seed(seed)
    assert -(2**63) <= kept < 2**63
    assert kept != -1
    assert mapping.engine_seed(kept) == kept
    assert kept == seed or seed == -1 or not -(2**63) <= seed < 2**63


@pytest.mark.req("OC-ADAPT-5020g")
async def test_no_seed_is_taken_for_a_wish_for_a_random_one() -> None:
    async with open_rig() as rig:
        texts = [(await read(rig.adapter, request(seed=-1, max_tokens=12))).text for _ in range(2)]
        assert texts[0] == texts[1] != (await read(rig.adapter, request(seed=3, max_tokens=12))).text


@pytest.mark.req("OC-ADAPT-5020")
async def test_embeddings_are_one_vector_for_each_input() -> None:
    async with open_rig(engine=VllmSettings(has_embeddings=True)) as rig:
        task = request("", workload=Workload.EMBEDDING, inputs=("a b", "c"))
        outcome = await read(rig.adapter, task)
        assert rig.sent("/v1/embeddings") == {"model": "tiny", "input": ["a b", "c"], "encoding_format": "float"}
    assert outcome.kinds == ["started", "end"]
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert isinstance(end.result, list)
    assert [len(vector) for vector in end.result] == [8, 8]
    assert (end.tokens_in, end.tokens_out) == (3, 0)


@pytest.mark.req("OC-ADAPT-5020")
async def test_a_rerank_is_one_score_for_each_document_in_their_order() -> None:
    documents = ("nothing", "the blue sea", "blue")
    async with open_rig(engine=VllmSettings(has_reranking=True)) as rig:
        task = request("the blue sea", workload=Workload.RERANK, inputs=documents)
        end = (await read(rig.adapter, task)).events[-1]
    assert isinstance(end, End)
    scores = cast("list[float]", end.result)
    assert scores[1] > scores[2] > scores[0]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"data":[]}', b'{"data":[{"index":0,"embedding":[null]}]}', b"<html>"]
)
async def test_an_answer_that_is_not_the_protocol_is_an_adapter_error(body: bytes) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, body, "application/json")), path="/v1/embeddings")
        outcome = await read(rig.adapter, request("", workload=Workload.EMBEDDING, inputs=("a",)))
    assert (outcome.kinds, outcome.error and outcome.error.kind) == ([], "Adapter")


async def test_streams_run_side_by_side(autojump_clock: MockClock) -> None:
    outcomes = [Outcome() for _ in range(12)]
    async with open_rig(engine=VllmSettings(slots=4, token_s=0.125)) as rig:
        async with trio.open_nursery() as nursery:
            for number, outcome in enumerate(outcomes):
                nursery.start_soon(read, rig.adapter, request(str(number), max_tokens=8), outcome)
        assert rig.double.facts.live == 0
    assert [len(outcome.kinds) for outcome in outcomes] == [10] * 12
    assert trio.current_time() == pytest.approx(3.0)


async def test_connections_are_used_again(autojump_clock: MockClock) -> None:
    dialled = 0
    async with open_rig(WORDS) as rig:
        for _ in range(5):
            dialled += rig.double.facts.connections == 0
            assert (await read(rig.adapter, request())).kinds[-1] == "end"
    assert dialled == 1
