"""The vLLM double under scripts: its queue, its gauges, its death in two steps, in virtual time."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Literal

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.script import (
    Accept,
    Cut,
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
from conformance.engines.vllm import VllmDouble, VllmSettings, open_vllm
from tests.conformance_engines import client

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from tests.conformance_engines.client import Answer

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
JSON = {"Content-Type": "application/json"}
HI = [{"role": "user", "content": "Hi"}]
ONE = VllmSettings(slots=1)

open_call = partial(client.open_call, headers=JSON, port=8000)
ask = partial(client.ask, headers=JSON, port=8000)


def asks(**fields: object) -> dict[str, object]:
    return {"messages": HI, "stream": True, **fields}


def events(answer: Answer) -> list[JsonValue]:
    blocks = [block.removeprefix("data: ") for block in answer.body.decode().split("\n\n") if block]
    return [block if block == "[DONE]" else client.decode(block) for block in blocks]


def said(answer: Answer) -> str:
    frames = [frame for frame in events(answer) if isinstance(frame, dict)]
    return "".join(
        str(choice.get("delta", {}).get("content", "")) for frame in frames for choice in frame.get("choices", ())
    )


async def gauges(double: VllmDouble) -> tuple[float, float]:
    body = (await ask(double, "/metrics")).body.decode()
    running, waiting = (
        float(re.findall(rf"^vllm:num_requests_{state}{{.*}} (\S+)$", body, re.MULTILINE)[0])
        for state in ("running", "waiting")
    )
    return running, waiting


async def test_the_head_comes_at_once_and_silence_until_there_is_a_seat(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(10), Finish())
    async with open_vllm(ONE, script) as double, open_call(double, CHAT, asks()) as first:
        await first.until(b'"a"')
        async with open_call(double, CHAT, asks()) as second:
            await second.step()
            assert (second.answer.status, trio.current_time()) == (200, 0.0)
            await wait_all_tasks_blocked()
            assert (await gauges(double), double.facts.live) == ((1, 1), 2)
            assert (await first.finish()).is_whole
            assert said(await second.finish()) == "a"
            assert trio.current_time() == 20.0
        assert await gauges(double) == (0, 0)


async def test_a_queue_without_end_takes_everybody_and_a_bounded_one_refuses(autojump_clock: MockClock) -> None:
    for queue, expected in ((None, 200), (1, 503)):
        async with open_vllm(VllmSettings(slots=1, queue=queue), Script.of(Text("a"), Stall())) as double:
            async with open_call(double, CHAT, asks()) as first, open_call(double, CHAT, asks()) as second:
                await first.until(b'"a"')
                await second.step()
                async with open_call(double, CHAT, asks()) as third:
                    await third.step()
                    assert third.answer.status == expected
            await wait_all_tasks_blocked()
            assert double.facts.live == 0


@pytest.mark.parametrize(("queue", "status"), [(None, 200), (0, 503)])
async def test_overload_is_what_this_engine_does_then(
    queue: int | None, status: int, autojump_clock: MockClock
) -> None:
    async with (
        open_vllm(VllmSettings(queue=queue), Script.of(Overload())) as double,
        open_call(double, CHAT, asks()) as call,
    ):
        await call.step()
        assert call.answer.status == status
        await wait_all_tasks_blocked()
        assert await gauges(double) == (0, 1 if queue is None else 0)


async def test_a_seat_is_free_a_while_after_its_client_left(autojump_clock: MockClock) -> None:
    settings = VllmSettings(slots=1, release_s=0.5)
    async with open_vllm(settings, Script.of(Text("a"), Stall())) as double:
        async with open_call(double, CHAT, asks()) as call:
            await call.until(b'"a"')
            await trio.sleep(1)
        await trio.sleep(0.25)
        assert await gauges(double) == (1, 0)
        await trio.sleep(0.5)
        assert (await gauges(double), double.facts.gone) == ((0, 0), [(1.0, 0)])


async def test_a_client_that_leaves_the_queue_is_forgotten_at_once(autojump_clock: MockClock) -> None:
    async with (
        open_vllm(VllmSettings(slots=1, release_s=5), Script.of(Text("a"), Stall())) as double,
        open_call(double, CHAT, asks()) as first,
    ):
        await first.until(b'"a"')
        async with open_call(double, CHAT, asks()) as second:
            await second.step()
        await wait_all_tasks_blocked()
        assert (await gauges(double), double.facts.live) == ((1, 0), 1)


async def test_several_tokens_come_in_one_chunk_and_are_counted() -> None:
    script = Script.of(Text("one two three", tokens=3), Text("", tokens=1), Text("four"))
    body = asks(stream_options={"include_usage": True, "continuous_usage_stats": True})
    async with open_vllm(None, script) as double:
        frames = [frame for frame in events(await ask(double, CHAT, body)) if isinstance(frame, dict)]
    assert [frame["usage"]["completion_tokens"] for frame in frames] == [0, 3, 4, 5, 5, 5]
    assert frames[-1]["choices"] == []


async def test_done_comes_after_an_error_too() -> None:
    script = Script.of(Text("a"), Fail(500, "InternalServerError", "Internal server error", in_stream=True))
    async with open_vllm(None, script) as double:
        *_, error, done = events(await ask(double, CHAT, asks()))
    assert error == {
        "error": {"message": "Internal server error", "type": "InternalServerError", "param": None, "code": 500}
    }
    assert done == "[DONE]"


@pytest.mark.parametrize("reason", ["stop", "length", "abort", "repetition", "tool_calls"])
async def test_any_finish_reason_is_said_as_it_is(reason: str) -> None:
    async with open_vllm(None, Script.of(Text("a"), Finish(reason))) as double:
        frame = events(await ask(double, CHAT, asks()))[-2]
    assert isinstance(frame, dict)
    assert frame["choices"][0]["finish_reason"] == reason


async def test_a_stop_string_is_told_as_the_reason_to_stop() -> None:
    async with open_vllm(None, Script.of(Text("a"), Finish("stop_string"))) as double:
        frame = events(await ask(double, CHAT, asks(stop=["\n", "x"])))[-2]
    assert isinstance(frame, dict)
    choice = frame["choices"][0]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "\n")


async def test_an_engine_that_dies_breaks_its_streams_then_refuses_and_then_is_gone(autojump_clock: MockClock) -> None:
    async with open_vllm(VllmSettings(dead_s=2), Script.of(Text("a"), Stall())) as double:
        async with open_call(double, CHAT, asks()) as call:
            await call.until(b'"a"')
            double.break_engine()
            *_, error, done = events(await call.finish())
        assert "EngineCore encountered an issue" in str(error)
        assert done == "[DONE]"
        assert (await ask(double, "/health")).status == 503
        assert (await ask(double, CHAT, asks())).status == 500
        assert (await ask(double, "/v1/models")).status == 200
        await trio.sleep(2)
        with pytest.raises(ConnectionRefusedError):
            await ask(double, "/health")
        double.start()
        assert (await ask(double, "/health")).status == 200


async def test_an_engine_that_was_started_again_is_not_ended_by_its_old_death(autojump_clock: MockClock) -> None:
    async with open_vllm(VllmSettings(dead_s=4)) as double:
        await trio.sleep(1)
        double.break_engine()
        double.stop()
        double.start()
        await trio.sleep(2)
        assert (await ask(double, "/health")).status == 200
        double.stop()
        await trio.sleep(1)
        double.start()
        double.break_engine()
        await trio.sleep(2)
        assert (await ask(double, "/health")).status == 503
        await trio.sleep(2)
        with pytest.raises(ConnectionRefusedError):
            await ask(double, "/health")


async def test_a_model_that_loads_again_takes_the_server_away(autojump_clock: MockClock) -> None:
    async with open_vllm(None, Script.of(Text("a"), Loading(5))) as double:
        assert not (await ask(double, CHAT, asks())).is_whole
        with pytest.raises(ConnectionRefusedError):
            await ask(double, "/health")
        await trio.sleep(5)
        assert (await ask(double, "/health")).status == 200


async def test_the_counts_of_a_script_replace_the_true_ones() -> None:
    async with open_vllm(None, Script.of(Text("a"), Usage(7, 5))) as double:
        whole = client.decode((await ask(double, CHAT, {"messages": HI})).body)
    assert isinstance(whole, dict)
    assert whole["usage"]["prompt_tokens"] == 7
    assert whole["usage"]["completion_tokens"] == 5


async def test_the_clients_own_name_for_a_request_is_in_its_id() -> None:
    async with open_vllm(None, Script.of(Text("a"))) as double:
        headers = {**JSON, "X-Request-Id": "mine-7"}
        answer = await client.ask(double, TEXT, {"prompt": "Hi"}, headers=headers, port=8000)
    assert answer.json["id"] == "cmpl-mine-7"  # type: ignore[call-overload, index] # an object


async def test_metrics_count_tokens_and_how_requests_ended(autojump_clock: MockClock) -> None:
    async with open_vllm(
        None, Script.of(Text("a", tokens=4), Finish("length")), Script.of(Text("b"), Stall())
    ) as double:
        await ask(double, CHAT, asks())
        async with open_call(double, CHAT, asks()) as call:
            await call.until(b'"b"')
        await wait_all_tasks_blocked()
        body = (await ask(double, "/metrics")).body.decode()
    assert re.search(r"^vllm:generation_tokens_total{.*} 5\.0$", body, re.MULTILINE)
    for reason in ("length", "abort"):
        assert re.search(rf'finished_reason="{reason}",.*}} 1\.0$', body, re.MULTILINE)


async def test_a_body_that_ends_early_has_no_end_marker() -> None:
    async with open_vllm(None, Script.of(Accept(), Text("a"), Cut(clean=True))) as double:
        answer = await ask(double, CHAT, asks())
    assert answer.is_whole
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_comes_before_the_answer_in_a_field_of_its_own(
    field: Literal["reasoning", "reasoning_content"],
) -> None:
    settings = VllmSettings(reasoning="Hm.", reasoning_field=field)
    async with open_vllm(settings, Script.of(Text("a"))) as double:
        told = [frame for frame in events(await ask(double, CHAT, asks())) if isinstance(frame, dict)]
    assert [frame["choices"][0]["delta"] for frame in told][:3] == [
        {"role": "assistant", "content": ""},
        {field: "Hm."},
        {"content": "a"},
    ]
