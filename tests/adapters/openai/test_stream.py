"""What the OpenAI adapter makes of streams and answers that go well, and what it sends."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Literal

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapter_api import (
    End,
    FinishReason,
    Message,
    Metrics,
    Sampling,
    Started,
    Token,
    Workload,
)
from conformance.engines.openai import OpenAiSettings, Quirks
from conformance.engines.script import Answer, Finish, Malformed, Pause, Ping, Script, SplitBytesAt, Text, Usage
from tests.adapters.rig import SECRET, Outcome, read, request

from .rig import PLAIN, open_rig

if TYPE_CHECKING:
    from adapter_api import TaskRequest

CHAT = (Message("system", "be nice"), Message("user", "hi"))
WORDS = Script.of(Text(" one"), Text(" two"), Text(" three"))
APIS = ("completions", "chat", "responses")


def chat(**fields: object) -> TaskRequest:
    return request("", messages=CHAT, **fields)


@pytest.mark.req("ADAPT-3010", "ADAPT-3003", "OC-ADAPT-OAI-6000", "OC-ADAPT-OAI-6006", "OC-ADAPT-OAI-6010")
@pytest.mark.parametrize("api", APIS)
async def test_a_completion_starts_gives_its_tokens_and_ends(api: str, autojump_clock: MockClock) -> None:
    script = Script.of(Text(" one"), Pause(0.25), Text(" two"), Pause(0.5), Text("!"), Finish("stop"))
    digest = f"sha256:{'0' * 64}"
    seed = None if api == "responses" else 7
    async with open_rig(script, api=api, model_digest=digest, engine=OpenAiSettings(requests_per_minute=9)) as rig:
        outcome = await read(rig.adapter, request("Say it", seed=seed, sampler_profile_version="v1"))
    version = "tiny" if api == "responses" else "fp_0123456789"
    first, told, *tokens, end = outcome.events
    assert first == Started(engine_version=version, model_digest=digest, seed=seed, sampler_profile_version="v1")
    assert isinstance(told, Metrics)
    assert told.values["requests_remaining"] == 8
    assert str(told.values["engine_request_id"]).startswith("req_")
    assert tokens == [Token(" one", 0), Token(" two", 1), Token("!", 2)]
    assert isinstance(end, End)
    assert (end.tokens_out, end.decode_time_ms, end.finish_reason) == (3, 750, FinishReason.STOP)
    assert end.tokens_in == (2 if api == "completions" else 5)  # a chat's template counts


@pytest.mark.req("OC-ADAPT-OAI-6006b")
@pytest.mark.parametrize("api", APIS)
async def test_the_counts_are_the_engines_own(api: str) -> None:
    async with open_rig(Script.of(Text(" caf"), Text("é", tokens=2), Text(""), Usage(41, 17)), api=api) as rig:
        end = (await read(rig.adapter, request())).events[-1]
    assert isinstance(end, End)
    assert (end.tokens_in, end.tokens_out) == (41, 17)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
    ],
)
async def test_finish_reasons_are_translated(api: str, reason: str, expected: FinishReason) -> None:
    async with open_rig(Script.of(Text("a"), Finish(reason)), api=api) as rig:
        end = (await read(rig.adapter, request())).events[-1]
    assert isinstance(end, End)
    assert (end.finish_reason, end.engine_finish_reason) == (expected, None)


ROLES: tuple[Literal["first", "never", "every"], ...] = ("first", "never", "every")
CONTENTS: tuple[Literal["empty", "null", "missing"], ...] = ("empty", "null", "missing")
REASONS: tuple[Literal["null", "empty", "missing"], ...] = ("null", "empty", "missing")
CLONES = [
    Quirks(role=role, empty_content=content, unfinished=why, empty_first=first, usage_on_finish=first, has_done=done)
    for role, content, why, (first, done) in product(ROLES, CONTENTS, REASONS, ((False, True), (True, False)))
]


@pytest.mark.req("OC-ADAPT-OAI-6005", "OC-ADAPT-OAI-6006", "OC-ADAPT-OAI-6006b")
@pytest.mark.parametrize("task", [request("Hi there"), chat()], ids=["text", "chat"])
def test_every_clones_habits_mean_the_same(task: TaskRequest) -> None:
    async def answers() -> list[Outcome]:
        found = []
        for quirks in CLONES:
            engine = OpenAiSettings(quirks=quirks, fingerprint=None)
            async with open_rig(WORDS, engine=engine, model="tiny") as rig:
                found.append(await read(rig.adapter, task))
        return found

    for outcome in trio.run(answers, clock=MockClock(autojump_threshold=0)):
        assert outcome.error is None
        assert (outcome.kinds, outcome.text) == (["started", *["token"] * 3, "end"], " one two three")
        assert (outcome.events[-1].data["tokens_out"], outcome.events[-1].data["finish_reason"]) == (3, "stop")


@pytest.mark.parametrize("space", ["", " ", "  "])
async def test_pings_and_spaces_are_no_trouble(space: str, autojump_clock: MockClock) -> None:
    script = Script.of(Ping(), Text("a"), Ping(), Pause(1), Ping(), Text("b"))
    async with open_rig(script, engine=OpenAiSettings(quirks=Quirks(space=space, ping="OPENROUTER PROCESSING"))) as rig:
        assert (await read(rig.adapter, request())).text == "ab"


@pytest.mark.req("OC-ADAPT-OAI-6007")
async def test_a_response_may_end_with_done_too() -> None:
    engine = OpenAiSettings(quirks=Quirks(done_after_response=True))
    async with open_rig(WORDS, engine=engine, api="responses") as rig:
        assert (await read(rig.adapter, request())).text == " one two three"


@pytest.mark.req("OC-ADAPT-OAI-6006a")
@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_thoughts_are_counted_and_not_said(field: str) -> None:
    quirks = Quirks(reasoning="hm, so so", reasoning_field=field)  # type: ignore[arg-type]  # one of the two
    async with open_rig(Script.of(Text("Yes")), engine=OpenAiSettings(quirks=quirks)) as rig:
        outcome = await read(rig.adapter, chat())
    assert outcome.text == "Yes"
    told = [event.values.get("reasoning_chars") for event in outcome.events if isinstance(event, Metrics)]
    assert 9 in told


@pytest.mark.req("HTU-1003", "ADAPT-3010")
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (5, 1, 7), (1000,)])
@pytest.mark.parametrize("api", APIS)
async def test_bytes_may_be_cut_anywhere(api: str, sizes: tuple[int, ...]) -> None:
    texts = ("漢字", "😀", "a\u2028b", "\u0085", "é", "\r\n", "data: x\n\n", ' "q" \\')
    async with open_rig(Script.of(SplitBytesAt(sizes), *map(Text, texts)), api=api) as rig:
        outcome = await read(rig.adapter, request())
    assert [event.t for event in outcome.events if isinstance(event, Token)] == list(texts)
    assert outcome.kinds[-1] == "end"


@pytest.mark.parametrize("api", APIS)
@given(text=st.text(min_size=1, max_size=20), cut=st.integers(1, 900))
def test_a_cut_at_any_byte_changes_nothing(api: str, text: str, cut: int) -> None:
    async def main() -> str:
        async with open_rig(Script.of(SplitBytesAt((cut, 100_000)), Text(text), Text(".")), api=api) as rig:
            return (await read(rig.adapter, request())).text

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == f"{text}."


@pytest.mark.req("OC-ADAPT-OAI-6003", "OC-ADAPT-OAI-6011")
async def test_the_request_is_forwarded_exactly() -> None:
    sampling = Sampling(
        temperature=0.25, top_p=0.5, presence_penalty=0.75, frequency_penalty=-0.5, stop=("END", "\n\n")
    )
    task = request("Say", max_tokens=9, seed=7, sampling=sampling, correlation_id="c-1")
    expected = {
        "model": "tiny",
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 7,
        "temperature": 0.25,
        "top_p": 0.5,
        "presence_penalty": 0.75,
        "frequency_penalty": -0.5,
        "stop": ["END", "\n\n"],
    }
    async with open_rig(WORDS, api_key="sk-1", organization="org-1", project="proj-1") as rig:
        await read(rig.adapter, task)
        assert rig.sent("/v1/completions") == {**expected, "prompt": "Say", "max_tokens": 9}
        headers = rig.double.facts.requests[-1].headers
        assert headers["authorization"] == "Bearer sk-1"
        assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
        assert headers["x-correlation-id"] == "c-1"
    async with open_rig(WORDS, api="chat", max_tokens_field="max_completion_tokens", extra_body={"user": "u"}) as rig:
        await read(rig.adapter, task)
        messages = [{"role": "user", "content": "Say"}]
        assert rig.sent("/v1/chat/completions") == {
            **expected,
            "messages": messages,
            "max_completion_tokens": 9,
            "user": "u",
        }
        assert "openai-organization" not in rig.double.facts.requests[-1].headers


async def test_a_chat_goes_to_the_route_of_the_settings() -> None:
    for api, path, field in (
        ("completions", "/v1/chat/completions", "messages"),
        ("chat", "/v1/chat/completions", "messages"),
        ("responses", "/v1/responses", "input"),
    ):
        async with open_rig(WORDS, api=api) as rig:
            assert (await read(rig.adapter, chat())).text == " one two three"
            assert rig.sent(path)[field] == [
                {"role": "system", "content": "be nice"},
                {"role": "user", "content": "hi"},
            ]


@pytest.mark.req("OC-ADAPT-OAI-6004")
@pytest.mark.parametrize(
    ("settings", "fields", "named"),
    [
        ({}, {"sampling": Sampling(top_k=3)}, "top_k"),
        ({}, {"sampling": Sampling(repeat_penalty=1.1)}, "repeat_penalty"),
        ({"sampling_fields": {"top_k": "top_k"}}, {"sampling": Sampling(min_p=0.1)}, "min_p"),
        ({"takes_seed": False}, {"seed": 1}, "seed"),
        ({"api": "responses"}, {"seed": 1}, "seed"),
        ({"api": "responses"}, {"sampling": Sampling(stop=("x",))}, "stop"),
    ],
)
async def test_what_the_interface_cannot_say_is_refused_by_name(
    settings: dict[str, object], fields: dict[str, object], named: str
) -> None:
    async with open_rig(WORDS, **settings) as rig:  # type: ignore[arg-type]  # any setting
        outcome = await read(rig.adapter, request(**fields))  # type: ignore[arg-type]  # any field
        assert rig.double.facts.submitted == 0
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.blames_request) == ("Adapter", True)
    assert f"`{named}`" in outcome.error.message


async def test_names_of_the_settings_are_used_for_what_openai_has_not() -> None:
    names = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"}
    engine = OpenAiSettings(quirks=Quirks(ignores_unknown=True))
    async with open_rig(WORDS, engine=engine, sampling_fields=names) as rig:
        await read(rig.adapter, request(sampling=Sampling(top_k=3, min_p=0.5, repeat_penalty=1.5)))
        body = rig.sent("/v1/completions")
    assert (body["top_k"], body["min_p"], body["repetition_penalty"]) == (3, 0.5, 1.5)


async def test_a_server_without_counts_or_seeds_is_not_asked_for_them() -> None:
    async with open_rig(WORDS, counts_in_stream=False, takes_seed=False) as rig:
        outcome = await read(rig.adapter, request())
        assert rig.sent("/v1/completions").keys() == {"model", "prompt", "max_tokens", "stream"}
    assert isinstance(outcome.events[0], Started)
    assert outcome.events[0].seed is None
    assert outcome.events[-1].data["tokens_out"] == 3
    assert "tokens_in" not in outcome.events[-1].data


@pytest.mark.req("OC-ADAPT-OAI-6011")
async def test_a_seed_is_drawn_and_told_when_none_is_given() -> None:
    async with open_rig(WORDS, random=lambda: 0.75) as rig:
        started = (await read(rig.adapter, request())).events[0]
        assert isinstance(started, Started)
        assert started.seed == rig.sent("/v1/completions")["seed"] == int(0.75 * 2**31)


@pytest.mark.req("OC-ADAPT-OAI-6011")
@pytest.mark.parametrize("seed", [-1, -(2**63), 2**32 - 1, 2**63 - 1])
async def test_any_seed_becomes_one_that_every_server_keeps(seed: int) -> None:
    async with open_rig(WORDS) as rig:
        started = (await read(rig.adapter, request(seed=seed))).events[0]
        assert isinstance(started, Started)
        assert started.seed == seed
        assert rig.sent("/v1/completions")["seed"] == seed % (2**32 - 1)


@pytest.mark.req("OC-ADAPT-OAI-6000")
async def test_embeddings_are_one_vector_for_each_input() -> None:
    async with open_rig(model="tiny-embedding") as rig:
        outcome = await read(rig.adapter, request("", workload=Workload.EMBEDDING, inputs=("a b", "c")))
        sent = rig.sent("/v1/embeddings")
    assert sent == {"model": "tiny-embedding", "input": ["a b", "c"], "encoding_format": "float"}
    end = outcome.events[-1]
    assert outcome.events[0] == Started(engine_version="tiny-embedding", tokens_in=3)
    assert isinstance(end, End)
    assert isinstance(end.result, list)
    assert [len(vector) for vector in end.result] == [8, 8]
    assert (end.tokens_in, end.tokens_out) == (3, 0)


async def test_there_is_no_rerank() -> None:
    async with open_rig() as rig:
        error = (await read(rig.adapter, request("q", workload=Workload.RERANK, inputs=("a",)))).error
        assert rig.double.facts.requests == []
    assert error is not None
    assert (error.kind, error.retriable) == ("Adapter", False)


async def test_streams_run_side_by_side(autojump_clock: MockClock) -> None:
    outcomes = [Outcome() for _ in range(12)]
    async with open_rig(engine=OpenAiSettings(token_s=0.125)) as rig:
        async with trio.open_nursery() as nursery:
            for number, outcome in enumerate(outcomes):
                nursery.start_soon(read, rig.adapter, request(str(number), max_tokens=8), outcome)
        assert rig.double.facts.live == 0
    assert [len(outcome.kinds) for outcome in outcomes] == [10] * 12
    assert trio.current_time() == pytest.approx(1.0)


async def test_a_stream_is_the_last_on_a_plain_connection(autojump_clock: MockClock) -> None:
    async with open_rig(WORDS, engine=PLAIN) as rig:
        await read(rig.adapter, request())
        assert rig.double.facts.requests[-1].headers["connection"] == "close"
        await rig.settle()
        assert rig.double.facts.connections == 0


@pytest.mark.req("HTU-1004", "OC-ADAPT-OAI-6021")
async def test_what_headers_say_of_a_request_is_told_masked_and_bounded() -> None:
    headers = (("x-request-id", f"req {SECRET} {'x' * 999}"), ("x-ratelimit-remaining-tokens", "1499"))
    body = b'data: {"choices":[{"index":0,"text":"a","finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with open_rig(Script.of(Answer(200, body, "text/event-stream", headers))) as rig:
        outcome = await read(rig.adapter, request())
    told = outcome.events[1]
    assert isinstance(told, Metrics)
    assert told.values.keys() == {"tokens_remaining", "engine_request_id"}
    assert told.values["tokens_remaining"] == 1499
    request_id = str(told.values["engine_request_id"])
    assert request_id.startswith("req [")
    assert SECRET not in request_id
    assert len(request_id) == 200


async def test_an_odd_frame_in_between_is_told() -> None:
    async with open_rig(Script.of(Text("a"), Malformed(b"data: {nope}\n\n"))) as rig:
        outcome = await read(rig.adapter, request())
    assert (outcome.text, outcome.error and outcome.error.kind) == ("a", "Adapter")
