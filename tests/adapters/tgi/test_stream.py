"""Completions and chats through the TGI adapter, in front of a TGI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterError,
    End,
    FinishReason,
    Message,
    Sampling,
    Started,
    TaskId,
    Token,
    WorkerError,
    Workload,
)
from conformance.engines.script import (
    Accept,
    Answer,
    Cut,
    Fail,
    Finish,
    Overload,
    Pause,
    Ping,
    Script,
    SplitBytesAt,
    Stall,
    Text,
    Usage,
)
from conformance.engines.tgi import Model, TgiSettings
from tests.adapters.rig import Outcome, read, request
from tests.adapters.tgi.rig import open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

HELLO = Script.of(Text("Hel"), Text("lo"), Finish())
CHAT = (Message("system", "Be brief."), Message("user", "Hi"))


def end_of(outcome: Outcome) -> End:
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.events[-1], End)
    return outcome.events[-1]


@pytest.mark.req("OC-ADAPT-5040", "OC-ADAPT-5040b", "OC-ADAPT-5040k", "ADAPT-3003")
async def test_a_completion_is_streamed_without_its_special_token(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO) as rig:
        outcome = await read(rig.adapter, request("Hi there", seed=7))
        assert outcome.events[0] == Started(
            engine_version=Model().engine_version, model_digest=Model().revision, seed=7
        )
        assert outcome.text == "Hello"
        end = end_of(outcome)
        assert (end.tokens_in, end.tokens_out, end.finish_reason) == (3, 3, FinishReason.STOP)  # `</s>` is a token too
        assert rig.paths() == ["/info", "/generate_stream"]


@pytest.mark.req("OC-ADAPT-5040i")
async def test_details_are_always_asked_for(autojump_clock: MockClock) -> None:
    async with open_rig(model="poet", engine=TgiSettings(adapters=("poet",))) as rig:
        sampling = Sampling(temperature=0.0, top_p=0.5, repeat_penalty=1.2, stop=("X",))
        outcome = await read(rig.adapter, request(max_tokens=4, sampling=sampling, seed=3))
        assert end_of(outcome).finish_reason is FinishReason.LENGTH
        assert rig.sent("/generate_stream") == {
            "inputs": "Hi",
            "parameters": {
                "max_new_tokens": 4,
                "details": True,
                "return_full_text": False,
                "seed": 3,
                "do_sample": False,
                "repetition_penalty": 1.2,
                "stop": ["X"],
                "adapter_id": "poet",
            },
        }


@pytest.mark.req("OC-ADAPT-5040k")
async def test_a_seed_is_drawn_where_none_is_given(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO, random=lambda: 0.25) as rig:
        outcome = await read(rig.adapter, request())
        drawn = rig.sent("/generate_stream")["parameters"]["seed"]  # type: ignore[index]
        assert outcome.events[0].data["seed"] == drawn == 2**29


@pytest.mark.req("OC-ADAPT-5040g")
async def test_the_last_text_may_sit_in_the_last_frame(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a", tokens=3), Text("漢", tokens=2), Finish("length"))
    async with open_rig(script) as rig:
        outcome = await read(rig.adapter, request())
        assert outcome.text == "a漢"
        assert (end_of(outcome).tokens_out, end_of(outcome).finish_reason) == (5, FinishReason.LENGTH)


@pytest.mark.req("OC-ADAPT-5040j")
@pytest.mark.parametrize(
    ("reason", "told", "kept"),
    [("stop_string", FinishReason.STOP, None), ("bored", FinishReason.OTHER, "bored")],
)
async def test_reasons_to_finish(autojump_clock: MockClock, reason: str, told: FinishReason, kept: str | None) -> None:
    async with open_rig(Script.of(Text("a"), Usage(11, 5), Finish(reason))) as rig:
        end = end_of(await read(rig.adapter, request()))
        assert (end.finish_reason, end.engine_finish_reason) == (told, kept)
        assert (end.tokens_in, end.tokens_out) == (11, 5)


@pytest.mark.req("OC-ADAPT-5040")
async def test_bytes_may_come_in_any_pieces_with_comments_between(autojump_clock: MockClock) -> None:
    text = "a\u2028b\u0085c漢字\x0b\x1c"
    script = Script.of(SplitBytesAt((1, 3, 2)), Accept(), Ping(), Text(text), Ping(), Text("é"), Finish())
    async with open_rig(script) as rig:
        assert (await read(rig.adapter, request())).text == f"{text}é"


@pytest.mark.req("OC-ADAPT-5040")
async def test_comments_alone_are_no_progress(autojump_clock: MockClock) -> None:
    async with open_rig(
        Script.of(Accept(), Text("a"), Stall()), timeouts={"idle_ms": 40_000}
    ) as rig:  # two comments come meanwhile
        outcome = await read(rig.adapter, request())
        assert outcome.error is not None
        assert outcome.error.kind == "DecodeTimeout"
        assert trio.current_time() == 40


@pytest.mark.req("ADAPT-3001d")
async def test_the_stop_text_stays_as_the_engine_gives_it(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Text("END"), Finish("stop_string"))) as rig:
        outcome = await read(rig.adapter, request(sampling=Sampling(stop=("END",))))
        assert outcome.text == "aEND"


@pytest.mark.req("OC-ADAPT-5040e", "ADAPT-3012a")
@pytest.mark.parametrize("workload", [Workload.EMBEDDING, Workload.RERANK])
async def test_other_workloads_are_refused_without_a_call(autojump_clock: MockClock, workload: Workload) -> None:
    async with open_rig() as rig:
        outcome = await read(rig.adapter, request(workload=workload, inputs=("a",)))
        assert isinstance(outcome.error, AdapterError)
        assert outcome.error.blames_request
        assert rig.paths() == []


@pytest.mark.req("OC-ADAPT-5040e")
async def test_a_parameter_the_engine_lacks_is_refused_without_a_call(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        outcome = await read(rig.adapter, request(sampling=Sampling(min_p=0.1)))
        assert isinstance(outcome.error, AdapterError)
        assert "`min_p`" in outcome.error.message
        assert rig.paths() == []


# --- chats, native


@pytest.mark.req("OC-ADAPT-5040f")
async def test_a_native_chat_has_the_tokens_of_the_chat_route(autojump_clock: MockClock) -> None:
    async with open_rig() as native, open_rig(api="openai") as openai:
        told, same = [
            await read(
                rig.adapter, request("", messages=CHAT, max_tokens=6, seed=5, sampling=Sampling(temperature=1.0))
            )
            for rig in (native, openai)
        ]
        assert end_of(told).tokens_in == end_of(same).tokens_in  # not one more for a second `<s>`
        assert native.sent("/generate_stream")["inputs"] == "[system] Be brief.</s>\n[user] Hi</s>\n[assistant]"
        assert native.paths() == ["/chat_tokenize", "/tokenize", "/info", "/generate_stream"]


@pytest.mark.req("OC-ADAPT-5040f")
async def test_what_the_tokenizer_adds_is_asked_once(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO) as rig:
        for _ in range(3):
            assert (await read(rig.adapter, request("", messages=CHAT))).text == "Hello"
        assert rig.paths().count("/tokenize") == rig.paths().count("/info") == 1


@pytest.mark.req("OC-ADAPT-5040f")
async def test_after_a_broken_stream_the_server_is_asked_anew(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Text("a"), Cut(clean=False)), HELLO) as rig:
        assert (await read(rig.adapter, request("", messages=CHAT))).error is not None
        assert (await read(rig.adapter, request("", messages=CHAT))).text == "Hello"
        assert rig.paths().count("/tokenize") == rig.paths().count("/info") == 2


@pytest.mark.req("OC-ADAPT-5040f")
async def test_without_the_probe_the_template_is_taken_as_it_is(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO) as rig:
        rig.double.load(Script.of(Answer(404, b"")), path="/tokenize")
        for _ in range(2):
            assert (await read(rig.adapter, request("", messages=CHAT))).text == "Hello"
        assert str(rig.sent("/generate_stream")["inputs"]).startswith("<s>[system]")
        assert rig.paths().count("/tokenize") == 1


@pytest.mark.req("OC-ADAPT-5040f")
async def test_a_probe_without_an_answer_is_no_reason_to_guess(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO) as rig:
        rig.double.load(Script.of(Answer(503, b"")), path="/tokenize")
        outcome = await read(rig.adapter, request("", messages=CHAT))
        assert outcome.error is not None
        assert outcome.error.kind == "PoolUnavailable"
        assert "/generate_stream" not in rig.paths()


@pytest.mark.req("OC-ADAPT-5040f")
async def test_a_chat_asks_itself_where_another_was_cancelled_while_it_asked(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO) as rig, trio.open_nursery() as nursery:
        rig.double.load(Script.of(Stall()), path="/tokenize")
        nursery.start_soon(read, rig.adapter, request("", messages=CHAT, task_id=TaskId("first")))
        await trio.sleep(0.5)
        second = Outcome()
        nursery.start_soon(read, rig.adapter, request("", messages=CHAT), second)
        await trio.sleep(0.5)
        rig.double.load(path="/tokenize")
        await rig.adapter.cancel(TaskId("first"))
        await rig.settle()
        assert second.text == "Hello"
        assert str(rig.sent("/generate_stream")["inputs"]).startswith("[system]")


@pytest.mark.req("OC-ADAPT-5040m")
async def test_a_model_without_a_template_refuses_a_chat(autojump_clock: MockClock) -> None:
    for api in ("native", "openai"):
        async with open_rig(engine=TgiSettings(has_template=False), api=api) as rig:
            outcome = await read(rig.adapter, request("", messages=CHAT))
            assert isinstance(outcome.error, AdapterError)
            assert (outcome.error.upstream_status, outcome.error.blames_request) == (422, True)


# --- chats, through the OpenAI-shaped route


@pytest.mark.req("OC-ADAPT-5040", "OC-ADAPT-5040j", "OC-ADAPT-5040k")
async def test_a_chat_through_the_openai_route(autojump_clock: MockClock) -> None:
    async with open_rig(HELLO, api="openai") as rig:
        outcome = await read(rig.adapter, request("", messages=CHAT, seed=9))
        assert outcome.events[0] == Started(
            engine_version=Model().engine_version, model_digest=Model().revision, seed=9
        )
        assert outcome.text == "Hello"
        end = end_of(outcome)
        assert (end.tokens_out, end.finish_reason) == (3, FinishReason.STOP)
        assert end.tokens_in is not None
        assert rig.paths() == ["/info", "/v1/chat/completions"]
        assert rig.sent("/v1/chat/completions")["model"] == "tgi"
        assert (await read(rig.adapter, request("Hi"))).text == "Hello"
        assert rig.paths()[-1] == "/generate_stream"  # a completion is native all the same


@pytest.mark.req("OC-ADAPT-5040c", "OC-ADAPT-5040l")
@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((Overload(),), "PoolUnavailable"),
        ((Text("a"), Fail(424, "generation", "Request failed during generation: boom", in_stream=True)), "WorkerReset"),
        ((Fail(422, "validation", "Input validation error: `top_p` must be > 0.0 and < 1.0"),), "Adapter"),
        ((Text("a"), Cut(clean=True)), "WorkerReset"),
    ],
)
async def test_done_after_an_error_is_no_success(
    autojump_clock: MockClock, steps: tuple[Text | Fail | Overload | Cut, ...], kind: str
) -> None:
    async with open_rig(Script.of(*steps), api="openai") as rig:
        outcome = await read(rig.adapter, request("", messages=CHAT))
        assert isinstance(outcome.error, WorkerError)
        assert outcome.error.kind == kind
        assert not any(isinstance(event, End) for event in outcome.events)


async def test_streams_do_not_mix(autojump_clock: MockClock) -> None:
    scripts = [Script.of(*(step for _ in range(5) for step in (Text(f"{n} "), Pause(0.1)))) for n in range(4)]
    async with open_rig(*scripts) as rig, trio.open_nursery() as nursery:
        outcomes = [Outcome() for _ in scripts]
        for outcome in outcomes:
            nursery.start_soon(read, rig.adapter, request(), outcome)
            await trio.sleep(0.01)
    assert [outcome.text for outcome in outcomes] == [f"{n} " * 5 for n in range(4)]
    assert all(isinstance(outcome.events[1], Token) for outcome in outcomes)
