"""What the Triton double refuses over HTTP, and how it breaks, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.script import (
    Cut,
    Die,
    Fail,
    Malformed,
    Pause,
    Reset,
    Script,
    SplitBytesAt,
    Stall,
    Text,
)
from conformance.engines.triton import TritonSettings, open_triton
from tests.conformance_engines.client import ask, open_call
from tests.conformance_engines.triton_calls import ONCE, ONE_SLOT, SAID, STREAM, asks


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
