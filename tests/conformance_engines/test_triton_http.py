"""The Triton double's HTTP side under scripts: dialects, late heads, silence, the queue, stop, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.script import (
    Accept,
    Fail,
    Finish,
    Loading,
    Overload,
    Pause,
    Script,
    Stall,
    Text,
    Usage,
)
from conformance.engines.triton import TritonDouble, TritonSettings, open_triton
from tests.conformance_engines.client import HOST, PORT, Call, ask, open_call
from tests.conformance_engines.triton_calls import ONCE, ONE_SLOT, SAID, STREAM, asks


async def test_the_classic_ensemble_gives_pieces_and_no_end_marker(autojump_clock: MockClock) -> None:
    async with open_triton(None, SAID) as double:
        answer = await ask(double, STREAM, asks(id="r1", seed=7, temperature=1.0, top_k=1))
    common = {"batch_index": 0, "sequence_index": 0, "sequence_id": 0, "sequence_start": False, "sequence_end": False}
    model = {"id": "r1", "model_name": "ensemble", "model_version": "1"}
    assert answer.frames == [{**common, **model, "text_output": text} for text in ("the", "re")]
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.is_whole
    assert answer.body.startswith(b'data: {"batch_index":0,"id":"r1","model_name":"ensemble","model_version":"1"')


@pytest.mark.parametrize(
    ("dialect", "model", "fields", "texts"),
    [
        ("bls", "tensorrt_llm_bls", asks(), ["the", "there"]),
        ("llmapi", "tensorrt_llm", {"text_input": "Hi", "streaming": True}, ["Hithe", "Hithere", "Hithere"]),
        (
            "llmapi",
            "tensorrt_llm",
            {"text_input": "Hi", "streaming": True, "sampling_param_exclude_input_from_output": True},
            ["the", "there", "there"],
        ),
        ("vllm", "vllm_model", {"text_input": "Hi", "stream": True}, ["the", "re", ""]),
    ],
)
async def test_each_dialect_says_the_same_in_its_way(
    dialect: str, model: str, fields: dict[str, object], texts: list[str], autojump_clock: MockClock
) -> None:
    async with open_triton(TritonSettings(dialect=dialect), SAID) as double:
        answer = await ask(double, f"/v2/models/{model}/generate_stream", fields)
    assert [frame["text_output"] for frame in answer.frames] == texts


@pytest.mark.parametrize(
    ("dialect", "model", "stream", "texts"),
    [
        ("classic", "ensemble", "stream", "Hithere"),
        ("llmapi", "tensorrt_llm", "streaming", "Hithere"),
        ("vllm", "vllm_model", "stream", "Hithere"),
    ],
)
async def test_an_answer_in_one_piece_begins_with_the_prompt_unless_it_is_left_out(
    dialect: str, model: str, stream: str, texts: str, autojump_clock: MockClock
) -> None:
    async with open_triton(TritonSettings(dialect=dialect), SAID) as double:
        fields = {"text_input": "Hi", "max_tokens": 2, stream: False}
        answer = await ask(double, f"/v2/models/{model}/generate", fields)
    assert answer.status == 200
    assert isinstance(answer.json, dict)
    assert answer.json["text_output"] == texts


async def test_reasons_and_counts_come_to_those_who_ask(autojump_clock: MockClock) -> None:
    flags = {f"return_{name}": True for name in ("finish_reason", "num_input_tokens", "num_output_tokens")}
    script = Script.of(Text("the", tokens=3), Text("re"), Finish("length"))
    path = "/v2/models/vllm_model/generate_stream"
    async with open_triton(TritonSettings(dialect="vllm"), script) as double:
        asked = await ask(double, path, {"text_input": "Hi you", "stream": True, **flags})
        plain = await ask(double, path, {"text_input": "Hi you", "stream": True})
    names = ("finish_reason", "num_input_tokens", "num_output_tokens")
    assert [[frame[name] for name in names] for frame in asked.frames] == [
        ["None", 2, 3],
        ["None", 2, 1],
        ["length", 2, 0],
    ]
    assert not {name for frame in plain.frames for name in frame} & set(names)


async def test_counts_of_a_script_come_with_the_last_response(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Text("b"), Usage(7, 9), Finish())
    flags = {"return_num_input_tokens": True, "return_num_output_tokens": True}
    async with open_triton(None, script) as double:
        frames = (await ask(double, STREAM, {**asks(), **flags})).frames
    assert [(frame["num_input_tokens"], frame["num_output_tokens"]) for frame in frames] == [(7, 0), (7, 0), (7, 9)]


async def test_a_made_up_answer_is_as_long_as_asked_and_the_same_for_a_seed(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        first, again, other = [await ask(double, STREAM, asks(max_tokens=9, seed=seed)) for seed in (7, 7, 8)]
    assert len(first.frames) == 9
    assert first.body == again.body
    assert first.body != other.body


async def test_no_byte_comes_before_the_first_response(autojump_clock: MockClock) -> None:
    script = Script.of(Pause(1), Accept(), Pause(4), Text("late"))
    async with open_triton(None, script) as double, open_call(double, STREAM, asks()) as call:
        await call.step()
        assert (call.answer.status, trio.current_time()) == (200, 5.0)


@pytest.mark.parametrize(
    ("failure", "status", "content_type", "body"),
    [
        (Fail(503, "", "no room"), 503, "application/json", b'{"error":"no room"}'),
        (
            Fail(500, "", "broke", in_stream=True),
            500,
            "text/event-stream; charset=utf-8",
            b'data: {"error":"broke"}\n\n',
        ),
    ],
)
async def test_an_error_that_comes_first_is_the_status(
    failure: Fail, status: int, content_type: str, body: bytes, autojump_clock: MockClock
) -> None:
    async with open_triton(None, Script.of(failure)) as double:
        answer = await ask(double, STREAM, asks())
    assert (answer.status, answer.headers["content-type"], answer.body) == (status, content_type, body)


async def test_a_later_error_is_an_event_and_the_stream_ends_well(autojump_clock: MockClock) -> None:
    script = Script.of(Text("One"), Fail(500, "", "broke", in_stream=True))
    async with open_triton(None, script) as double:
        answer = await ask(double, STREAM, asks())
    assert (answer.status, answer.frames[-1], answer.is_whole) == (200, {"error": "broke"}, True)


async def test_generate_on_a_model_that_streams_is_an_error_inside_200(autojump_clock: MockClock) -> None:
    async with open_triton(None, SAID) as double:
        answer = await ask(double, ONCE, asks())
    assert answer.status == 200
    assert b"expects model to produce exactly 1 response" in answer.body


async def test_a_client_that_leaves_before_the_first_response_is_not_noticed(autojump_clock: MockClock) -> None:
    script = Script.of(Accept(), Pause(10), Text("One"), Pause(10), Text("two"))
    async with open_triton(ONE_SLOT, script) as double:
        async with open_call(double, STREAM, asks()):
            await trio.sleep(1)
        await trio.sleep(8.75)
        assert (double.facts.live, double.facts.gone) == (1, [(1.0, 0)])
        await trio.sleep(0.5)
        assert double.facts.live == 0


async def test_a_stalled_request_whose_client_left_is_worked_on_for_ever(autojump_clock: MockClock) -> None:
    async with open_triton(ONE_SLOT, Script.of(Stall())) as double:
        async with open_call(double, STREAM, asks()):
            await trio.sleep(1)
        await trio.sleep(86_400)
        assert double.facts.live == 1


async def test_a_server_may_be_set_to_notice(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(notices_s=2.0), Script.of(Stall())) as double:
        async with open_call(double, STREAM, asks()):
            await trio.sleep(1)
        await trio.sleep(1.75)
        assert double.facts.live == 1
        await trio.sleep(0.5)
        assert double.facts.live == 0


async def test_after_the_first_response_leaving_is_noticed(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(release_s=0.5), Script.of(Text("One"), Stall())) as double:
        async with open_call(double, STREAM, asks()) as call:
            await call.until(b"One")
        await trio.sleep(0.25)
        assert double.facts.live == 1
        await trio.sleep(0.5)
        assert double.facts.live == 0


async def test_a_request_waits_in_silence_for_a_place(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(10), Finish())
    async with (
        open_triton(ONE_SLOT, script) as double,
        open_call(double, STREAM, asks()) as first,
        open_call(double, STREAM, asks()) as second,
    ):
        await first.until(b'"a"')
        with trio.move_on_after(9) as patience:
            await second.step()
        assert patience.cancelled_caught
        assert await pending(double) == 1
        await second.until(b'"a"')


async def pending(double: TritonDouble) -> int:
    async with await double.dial(HOST, PORT + 2) as stream:
        call = Call(stream)
        await call.send("GET", "/metrics", b"", {})
        text = (await call.finish()).body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith('nv_inference_pending_request_count{model="ens')]
    (active,) = [line for line in text.splitlines() if 'request_type="active"' in line]
    assert active.endswith(" 1")
    return int(line.split()[-1])


@pytest.mark.parametrize(("dialect", "model"), [("classic", "ensemble"), ("vllm", "vllm_model")])
async def test_a_queue_with_an_end_refuses_at_once(dialect: str, model: str, autojump_clock: MockClock) -> None:
    path = f"/v2/models/{model}/generate_stream"
    fields = {"text_input": "Hi", "stream": True, **({"max_tokens": 2} if dialect == "classic" else {})}
    settings = TritonSettings(slots=1, max_queue_size=1, dialect=dialect)
    async with (
        open_triton(settings, Script.of(Stall())) as double,
        open_call(double, path, fields),
        open_call(double, path, fields),
    ):
        await wait_all_tasks_blocked()
        answer = await ask(double, path, {**fields, "id": "r3"})
    assert answer.status == 503
    assert b"[request id: r3] Exceeds maximum queue size" in answer.body
    assert answer.body.startswith(b"data: " if dialect == "classic" else b"{")


async def test_a_queue_with_a_time_limit_gives_up(autojump_clock: MockClock) -> None:
    settings = TritonSettings(slots=1, queue_timeout_s=3.0)
    async with open_triton(settings, Script.of(Stall())) as double, open_call(double, STREAM, asks()):
        await wait_all_tasks_blocked()
        answer = await ask(double, STREAM, asks())
        assert trio.current_time() == 3.0
        assert double.facts.live == 1
    assert (answer.status, answer.frames) == (503, [{"error": "[request id: <id_unknown>] Request timeout expired"}])


async def test_an_overloaded_server_is_silent_or_refuses(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(max_queue_size=4), Script.of(Overload())) as double:
        assert (await ask(double, STREAM, asks())).status == 503
    async with open_triton(None, Script.of(Overload())) as double, open_call(double, STREAM, asks()) as call:
        with trio.move_on_after(600) as patience:
            await call.step()
        assert patience.cancelled_caught


@pytest.mark.parametrize("model", ["ensemble", "tensorrt_llm"])
async def test_a_request_is_stopped_by_its_id(model: str, autojump_clock: MockClock) -> None:
    async with (
        open_triton(None, Script.of(Text("One"), Stall())) as double,
        open_call(double, STREAM, asks(id="r1")) as call,
        open_call(double, STREAM, asks(id="r2")) as other,
    ):
        await call.until(b"One")
        await other.until(b"One")
        stop = await ask(double, f"/v2/models/{model}/generate_stream", {"id": "r1", "stop": True})
        answer = await call.finish()
        assert (stop.status, stop.body) == (200, b"")
        assert double.facts.live == 1
    assert answer.frames[-1] == {"error": "[request id: r1] in ensemble 'ensemble', Request cancelled by client"}
    assert double.facts.submitted == 2


async def test_a_stop_before_the_first_response_is_a_status(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Stall())) as double, open_call(double, STREAM, asks(id="r1")) as call:
        await wait_all_tasks_blocked()
        await ask(double, STREAM, {"id": "r1", "stop": True})
        answer = await call.finish()
    assert answer.status == 400
    assert b"Request cancelled by client" in answer.body


async def test_a_stop_needs_an_id_and_a_model_that_can(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        answer = await ask(double, STREAM, {"stop": True})
    assert (answer.status, answer.json) == (400, {"error": "A request id must be provided for request cancellation"})
    async with open_triton(TritonSettings(can_stop=False), SAID) as double:
        assert len((await ask(double, STREAM, asks(stop=True))).frames) == 2


async def test_health_tells_loading_from_ready(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script(loading_s=5)) as double:
        statuses = [(await ask(double, f"/v2/health/{name}")).status for name in ("live", "ready")]
        ready = await ask(double, "/v2/health/ready")
        model = await ask(double, "/v2/models/ensemble/ready")
        answer = await ask(double, STREAM, asks())
        await trio.sleep(5)
        later = (await ask(double, "/v2/health/ready")).status
    assert (statuses, later, ready.body) == ([200, 400], 200, b"")
    assert (model.status, model.json) == (400, {"error": "Model version not ready"})
    assert answer.status == 503
    assert b"is not at ready state" in answer.body


async def test_a_model_may_begin_to_load_under_a_request(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Loading(5))) as double:
        assert (await ask(double, STREAM, asks())).status == 503
        assert (await ask(double, "/v2/health/ready")).status == 400


async def test_a_server_that_exits_says_so_on_open_connections(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        double.begin_exit()
        answer = await ask(double, STREAM, asks())
    assert (answer.status, answer.json) == (503, {"error": "Server exiting"})
