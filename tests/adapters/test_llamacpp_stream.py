"""What the llama.cpp adapter makes of streams and answers that go well."""

from __future__ import annotations

import msgspec
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
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.script import (
    Answer,
    Finish,
    Malformed,
    Pause,
    Ping,
    Script,
    SplitBytesAt,
    Text,
    Usage,
)
from tests.adapters.rig import Rig, open_rig, read, request

WORDS = Script.of(Text(" one"), Text(" two"), Text(" three"))


def sent(rig: Rig, path: str = "/completion") -> dict[str, object]:
    """Return the body of the last request to `path`."""
    seen = [each for each in rig.double.facts.requests if each.path == path][-1]
    body: dict[str, object] = msgspec.json.decode(seen.body)
    return body


@pytest.mark.req("ADAPT-3010", "ADAPT-3003", "OC-ADAPT-5010")
async def test_a_completion_starts_gives_its_tokens_and_ends(autojump_clock: MockClock) -> None:
    script = Script.of(Text(" one"), Pause(0.25), Text(" two"), Pause(0.5), Text("!"), Finish("stop"))
    async with open_rig(script) as rig:
        outcome = await read(rig.adapter, request("Say", seed=7, sampler_profile_version="v1"))
    seen = [event for event in outcome.events if not isinstance(event, Metrics)]
    assert seen == [
        Started(engine_version="b9702-1a2b3c4d", seed=7, tokens_in=2, sampler_profile_version="v1", kv_warmth=False),
        Token(" one", 0),
        Token(" two", 1),
        Token("!", 2),
        End(tokens_out=3, decode_time_ms=750, finish_reason=FinishReason.STOP, tokens_in=2),
    ]


@pytest.mark.req("ADAPT-3003", "OC-ADAPT-5001d")
async def test_the_counts_are_the_engines_own() -> None:
    async with open_rig(Script.of(Text(" caf"), Text("é", tokens=2), Text(""), Text("!"), Usage(41, 17))) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.text == " café!"
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert (end.tokens_in, end.tokens_out) == (41, 17)


@pytest.mark.req("OC-ADAPT-5001f")
@pytest.mark.parametrize(
    ("reason", "expected", "engines_own"),
    [
        ("stop", FinishReason.STOP, None),
        ("stop_string", FinishReason.STOP, None),
        ("length", FinishReason.LENGTH, None),
        ("other", FinishReason.OTHER, "none"),
    ],
)
async def test_finish_reasons_are_translated(reason: str, expected: FinishReason, engines_own: str | None) -> None:
    async with open_rig(Script.of(Text("a"), Finish(reason))) as rig:
        end = (await read(rig.adapter, request())).events[-1]
    assert isinstance(end, End)
    assert (end.finish_reason, end.engine_finish_reason) == (expected, engines_own)


async def test_a_completion_without_a_token_is_legal() -> None:
    async with open_rig(Script.of(Finish("stop"))) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.kinds == ["started", "end"]


@pytest.mark.req("HTU-1003", "ADAPT-3010")
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (5, 1, 7), (1000,)])
async def test_bytes_may_be_cut_anywhere(sizes: tuple[int, ...]) -> None:
    texts = ("漢字", "😀", "a\u2028b", "\u0085", "é", "\r\n", "data: x\n\n", ' "q" \\')
    script = Script.of(SplitBytesAt(sizes), *(Text(text) for text in texts), Ping())
    async with open_rig(script) as rig:
        outcome = await read(rig.adapter, request())
    assert [event.t for event in outcome.events if isinstance(event, Token)] == list(texts)
    assert outcome.kinds[-1] == "end"


@given(text=st.text(min_size=1, max_size=20), cut=st.integers(1, 400))
def test_a_cut_at_any_byte_changes_nothing(text: str, cut: int) -> None:
    async def main() -> str:
        async with open_rig(Script.of(SplitBytesAt((cut, 100_000)), Text(text), Text("."))) as rig:
            return (await read(rig.adapter, request())).text

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == f"{text}."


async def test_a_large_last_frame_is_no_trouble(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a")), link=Link(capacity_bytes=1000)) as rig:
        outcome = await read(rig.adapter, request("wörd" * 25_000))
    assert outcome.kinds == ["started", "token", "end"]


@pytest.mark.req("OC-ADAPT-5001e")
async def test_comments_and_frames_without_text_are_not_tokens(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text(""), Ping(), Pause(5), Text("a"), Text(""))) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.kinds == ["started", "token", "end"]


@pytest.mark.req("OC-ADAPT-5001c")
async def test_what_follows_the_end_marker_is_not_looked_at() -> None:
    tail = Malformed(b'data: {"content":"late","stop":false}\n\ndata: [DONE]\n\n')
    final = Malformed(b'data: {"content":"last","stop":true,"tokens_predicted":1,"stop_type":"eos"}\n\n')
    async with open_rig(Script.of(final, tail)) as rig:
        outcome = await read(rig.adapter, request())
    assert (outcome.kinds, outcome.text) == (["started", "token", "end"], "last")


@pytest.mark.req("OC-ADAPT-5010", "OC-ADAPT-5001b", "ADAPT-3003b")
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
    async with open_rig(WORDS) as rig:
        await read(
            rig.adapter, request("Say", max_tokens=9, seed=7, sampling=sampling, reuse_kv=True, correlation_id="c-1")
        )
        assert sent(rig) == {
            "prompt": "Say",
            "stream": True,
            "return_progress": True,
            "n_predict": 9,
            "seed": 7,
            "cache_prompt": True,
            "temperature": 0.25,
            "top_p": 0.5,
            "top_k": 3,
            "min_p": 0.125,
            "repeat_penalty": 1.5,
            "presence_penalty": 0.75,
            "frequency_penalty": -0.5,
            "stop": ["END", "\n\n"],
        }
        headers = rig.double.facts.requests[-1].headers
        assert headers["x-correlation-id"] == "c-1"
        assert "x-conversation-id" not in headers


async def test_what_was_not_asked_for_is_left_to_the_engine() -> None:
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, request("Say", seed=7))
        ours = {"prompt", "stream", "return_progress", "n_predict", "seed", "cache_prompt"}
        assert sent(rig).keys() == ours


async def test_strictness_forbids_the_cache() -> None:
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, request(reuse_kv=True, determinism=Determinism.STRICT))
        assert sent(rig)["cache_prompt"] is False


@pytest.mark.req("ADAPT-3003d")
async def test_a_seed_is_drawn_and_told_when_none_is_given() -> None:
    async with open_rig(WORDS, random=lambda: 0.75) as rig:
        started = (await read(rig.adapter, request())).events[0]
        assert isinstance(started, Started)
        assert started.seed == sent(rig)["seed"] == int(0.75 * 2**31)


@pytest.mark.parametrize("seed", [-1, -(2**63), 2**32 - 1, 2**63 - 1])
async def test_no_seed_is_taken_for_a_wish_for_a_random_one(seed: int) -> None:
    async with open_rig() as rig:
        texts = [(await read(rig.adapter, request(seed=seed, max_tokens=12))).text for _ in range(2)]
        assert texts[0] == texts[1] != (await read(rig.adapter, request(seed=3, max_tokens=12))).text


async def test_a_chat_goes_through_the_models_template() -> None:
    messages = (Message("system", "be nice"), Message("user", "hi"))
    async with open_rig(WORDS) as rig:
        outcome = await read(rig.adapter, request("", messages=messages, correlation_id="c-2"))
        prompt = "<|im_start|>system\nbe nice<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
        assert sent(rig)["prompt"] == prompt
        assert [seen.headers.get("x-correlation-id") for seen in rig.double.facts.requests] == [None, "c-2", "c-2"]
        assert outcome.text == " one two three"


@pytest.mark.req("HTU-1005")
async def test_a_long_prefill_is_not_silence(autojump_clock: MockClock) -> None:
    timeouts = {"first_token_ms": 20_000, "idle_ms": 1_000}
    async with open_rig(engine=LlamaSettings(prefill_s=15), timeouts=timeouts) as rig:
        outcome = await read(rig.adapter, request(max_tokens=2))
    assert outcome.kinds == ["started", "token", "token", "end"]


async def test_a_prompt_that_was_seen_is_told_warm() -> None:
    async with open_rig() as rig:
        warmths = []
        for reuse in (True, True, False):
            started = (await read(rig.adapter, request("a b c", reuse_kv=reuse, max_tokens=1))).events[0]
            assert isinstance(started, Started)
            warmths.append(started.kv_warmth)
    assert warmths == [False, True, False]


async def test_embeddings_are_one_vector_for_each_input() -> None:
    async with open_rig(engine=LlamaSettings(has_embeddings=True)) as rig:
        task = request("", workload=Workload.EMBEDDING, inputs=("a b", "c"))
        outcome = await read(rig.adapter, task)
        assert outcome.kinds == ["started", "end"]
        end = outcome.events[-1]
        assert isinstance(end, End)
        assert isinstance(end.result, list)
        assert [len(vector) for vector in end.result] == [8, 8]
        assert (end.tokens_in, end.tokens_out) == (5, 0)
        swapped = await read(rig.adapter, request("", workload=Workload.EMBEDDING, inputs=("a b",)))
        assert isinstance(swapped.events[-1], End)
        assert swapped.events[-1].result == end.result[:1]


async def test_a_rerank_is_one_score_for_each_document_in_their_order() -> None:
    documents = ("nothing", "the blue sea", "blue")
    async with open_rig(engine=LlamaSettings(has_embeddings=True, has_reranking=True)) as rig:
        task = request("the blue sea", workload=Workload.RERANK, inputs=documents)
        end = (await read(rig.adapter, task)).events[-1]
    assert isinstance(end, End)
    assert isinstance(end.result, list)
    assert [int(score) for score in end.result] == [0, 3, 1]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"index":0,"embedding":[null]}]}',
        b'{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]}]}',
        b"<html>",
    ],
)
async def test_an_answer_that_is_not_the_protocol_is_an_adapter_error(body: bytes) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Answer(200, body, "application/json")), path="/v1/embeddings")
        outcome = await read(rig.adapter, request("", workload=Workload.EMBEDDING, inputs=("a",)))
    assert (outcome.kinds, outcome.error and outcome.error.kind) == ([], "Adapter")


async def test_streams_run_side_by_side(autojump_clock: MockClock) -> None:
    outcomes = []

    async with open_rig(engine=LlamaSettings(slots=4, token_s=0.125)) as rig:

        async def one(number: int) -> None:
            outcomes.append(await read(rig.adapter, request(str(number), max_tokens=8)))

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(one, number)
        assert rig.double.facts.live == 0
    assert [len(outcome.kinds) for outcome in outcomes] == [10] * 12
    assert trio.current_time() == pytest.approx(3.0)


@pytest.mark.req("ADAPT-3003")
async def test_a_submit_costs_no_call_but_its_own() -> None:
    async with open_rig(WORDS) as rig:
        await rig.adapter.health()
        before = len(rig.double.facts.requests)
        for _ in range(3):
            await read(rig.adapter, request())
        assert rig.paths()[before:] == ["/completion"] * 3


@pytest.mark.req("AH-1003")
async def test_every_call_of_a_task_carries_its_correlation_id() -> None:
    chat = {"prompt": "", "messages": (Message("user", "Hi"),)}
    async with open_rig(WORDS) as rig:
        await read(rig.adapter, request(**chat, correlation_id="c-2"))  # type: ignore[arg-type]  # any field
        calls = {seen.path: seen.headers.get("x-correlation-id") for seen in rig.double.facts.requests}
    assert (calls["/apply-template"], calls["/completion"]) == ("c-2", "c-2")
