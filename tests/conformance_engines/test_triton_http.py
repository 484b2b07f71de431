"""The Triton double's HTTP side under scripts: dialects, late heads, silence, the queue, stop, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.script import (
    Accept,
    Cut,
    Die,
    Fail,
    Finish,
    Loading,
    Malformed,
    Overload,
    Pause,
    Reset,
    Script,
    SplitBytesAt,
    Stall,
    Text,
    Usage,
)
from conformance.engines.triton import TritonDouble, TritonSettings, open_triton
from tests.conformance_engines.client import HOST, PORT, Call, ask, open_call

STREAM = "/v2/models/ensemble/generate_stream"
ONCE = "/v2/models/ensemble/generate"
ONE_SLOT = TritonSettings(slots=1)
SAID = Script.of(Text("the"), Text("re"), Finish())


def asks(text: str = "Hi", **fields: object) -> dict[str, object]:
    return {"text_input": text, "max_tokens": 2, "stream": True, **fields}


def said(call: Call) -> list[object]:
    return [frame.get("text_output") for frame in call.answer.frames]


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


@pytest.mark.parametrize(
    ("path", "fields", "status", "words"),
    [
        ("/v2/models/nope/generate_stream", asks(), 404, "Request for unknown model: 'nope' is not found"),
        ("/v2/models/ensemble/versions/3/generate", asks(), 404, "'ensemble' version 3 is not found"),
        ("/v2/nope", asks(), 404, "Not Found"),
        ("/v2/models/ensemble/config", asks(), 405, "Method Not Allowed"),
        ("/metrics", None, 404, "Not Found"),
        (STREAM, {"text_input": "Hi"}, 400, "missing required input(s) ['max_tokens']"),
        (STREAM, {"text_input": "Hi", "stream": True}, 500, "max_tokens must be a single value > 0"),
        (STREAM, asks(max_tokens="2"), 500, "attempt to access JSON non-signed-integer as signed-integer"),
        (STREAM, asks(max_tokens=2**31), 500, "attempt to access JSON non-signed-integer as signed-integer"),
        (STREAM, asks(logit_bias=[1]), 400, "parameter 'logit_bias' has invalid type"),
        (STREAM, asks(max_tokens=0), 500, "max_tokens must be a single value > 0"),
        (STREAM, asks("word " * 3000), 500, "Prompt length (3000) exceeds maximum input length (2048)"),
    ],
)
async def test_what_is_wrong_is_told(
    path: str, fields: dict[str, object] | None, status: int, words: str, autojump_clock: MockClock
) -> None:
    async with open_triton(None, SAID) as double:
        answer = await ask(double, path, fields)
        assert double.facts.live == 0
    assert answer.status == status
    assert words in answer.body.decode()


async def test_a_misspelled_field_is_no_error(autojump_clock: MockClock) -> None:
    async with open_triton(None, SAID) as double:
        answer = await ask(double, STREAM, asks(temprature=0, sampling_param_seed=1, parameters={"anything": True}))
    assert len(answer.frames) == 2


async def test_fields_may_be_nested_under_parameters(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        fields = {"text_input": "Hi", "parameters": {"max_tokens": 3, "stream": True}}
        assert len((await ask(double, STREAM, fields)).frames) == 3


@pytest.mark.parametrize(
    ("parameters", "status"),
    [('{"max_tokens": 3}', 200), ('{"temperature": -1}', 500), ("{", 500), ("[]", 500), ('{"max_tokens": 0}', 500)],
)
async def test_the_vllm_backend_reads_its_parameters_from_a_text(
    parameters: str, status: int, autojump_clock: MockClock
) -> None:
    async with open_triton(TritonSettings(dialect="vllm")) as double:
        fields = {"text_input": "Hi", "stream": True, "sampling_parameters": parameters}
        answer = await ask(double, "/v2/models/vllm_model/generate_stream", fields)
    assert answer.status == status
    assert len(answer.frames) == (4 if status == 200 else 1)
    assert (b"'NoneType' object has no attribute 'lora_name'" in answer.body) == (status == 500)


async def test_the_vllm_backend_does_not_repeat_the_prompt_in_a_stream(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(dialect="vllm"), SAID) as double:
        fields = {"text_input": "Hi", "stream": True, "exclude_input_in_output": False}
        answer = await ask(double, "/v2/models/vllm_model/generate_stream", fields)
    assert b"`exclude_input_in_output` = False is not allowed" in answer.body


async def test_a_model_that_is_not_decoupled_cannot_stream(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(is_decoupled=False), SAID) as double:
        answer = await ask(double, STREAM, asks())
        whole = await ask(double, ONCE, asks(stream=False))
    assert (answer.status, answer.frames) == (500, [{"error": "Streaming is only supported in decoupled mode."}])
    assert whole.status == 200


async def test_bodies_may_be_too_large_or_encoded(autojump_clock: MockClock) -> None:
    async with open_triton(TritonSettings(max_body=1000), SAID) as double:
        large = await ask(double, STREAM, asks("x" * 1000))
        encoded = await ask(double, STREAM, asks(), headers={"Content-Encoding": "gzip"})
    assert (large.status, encoded.status) == (400, 400)


async def test_a_stream_breaks_off_as_the_script_says(autojump_clock: MockClock) -> None:
    for step, is_whole in ((Cut(clean=True), True), (Cut(clean=False), False), (Reset(), False), (Die(1), False)):
        async with open_triton(None, Script.of(Text("One"), Pause(1), step)) as double:
            answer = await ask(double, STREAM, asks())
            assert (len(answer.frames), answer.is_whole) == (1, is_whole)
            await trio.sleep(2)
            assert (double.facts.live, (await ask(double, "/v2/health/live")).status) == (0, 200)


async def test_a_stream_may_end_without_a_response(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Cut(clean=True))) as double:
        answer = await ask(double, STREAM, asks())
    assert (answer.status, answer.body, answer.is_whole) == (200, b"", True)


async def test_raw_bytes_and_any_pieces(autojump_clock: MockClock) -> None:
    script = Script.of(SplitBytesAt((1,)), Text("café"), Malformed(b"data: {no\n\n"), Cut(clean=True))
    async with open_triton(None, script) as double:
        answer = await ask(double, STREAM, asks())
    assert "café" in answer.body.decode()
    assert answer.body.endswith(b"data: {no\n\n")


async def test_a_dead_server_forgets_its_work(autojump_clock: MockClock) -> None:
    async with open_triton(ONE_SLOT, Script.of(Stall())) as double:
        async with open_call(double, STREAM, asks()):
            await wait_all_tasks_blocked()
            double.stop()
            await wait_all_tasks_blocked()
            assert (double.facts.live, double.repository.queue.running) == (0, 0)
        double.start()
        assert (await ask(double, "/v2/health/ready")).status == 200


async def test_a_batch_that_dies_takes_all_with_it(autojump_clock: MockClock) -> None:
    failing = Script.of(Text("b"), Pause(1), Fail(500, "", "batch died", in_stream=True, whole_batch=True))
    first_script = Script.of(Text("a"), Stall())
    async with open_triton(None, first_script, failing) as double, open_call(double, STREAM, asks()) as first:
        await first.until(b'"a"')
        second = await ask(double, STREAM, asks())
        answer = await first.finish()
    assert answer.frames[-1] == second.frames[-1] == {"error": "batch died"}


async def test_statistics_tell_success_from_failure(autojump_clock: MockClock) -> None:
    scripts = (SAID, Script.of(Pause(2), Fail(500, "", "broke", in_stream=True)))
    async with open_triton(None, *scripts) as double:
        for _ in scripts:
            await ask(double, STREAM, asks())
        answer = await ask(double, "/v2/models/ensemble/stats")
        unknown = await ask(double, "/v2/models/nope/stats")
    assert isinstance(answer.json, dict)
    stats = answer.json["model_stats"][0]["inference_stats"]
    assert (stats["success"]["count"], stats["fail"]) == (1, {"count": 1, "ns": 2_000_000_000})
    assert (unknown.status, unknown.json) == (400, {"error": "requested model 'nope' is not available"})


async def test_a_path_may_have_a_script_of_its_own(autojump_clock: MockClock) -> None:
    async with open_triton(None, SAID) as double:
        double.load(Script.of(Fail(502, "", "no")), path="/v2/health/ready")
        assert (await ask(double, "/v2/health/ready")).status == 502
        double.load(path="/v2/health/ready")
        assert (await ask(double, "/v2/health/ready")).status == 200
