"""The Triton double's gRPC service in memory: one stream, many requests, and how it breaks, in virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.host import Link
from conformance.engines.script import (
    Accept,
    Answer,
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
    Step,
    Text,
)
from conformance.engines.triton import TritonSettings, open_triton
from tests.conformance_engines.grpc_client import HOST, PORT, ask, ask_text, is_last, open_call, text_of

QUICK = Script.of(Text("One"), Text(" café"), Finish())


async def test_a_stream_answers_and_ends_when_the_client_has_no_more(autojump_clock: MockClock) -> None:
    async with open_triton(None, QUICK) as double, open_call(double) as call:
        await call.send(ask_text())
        await call.until(2)
        assert not call.answer.is_whole
        await call.half_close()
        answer = await call.finish()
    assert (answer.head[":status"], answer.status, answer.texts) == ("200", 0, ["One", " café"])
    assert (double.facts.submitted, double.facts.live, double.facts.gone) == (1, 0, [])


async def test_the_head_comes_with_the_first_response(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Accept(), Pause(5), Text("late"))) as double, open_call(double) as call:
        await call.send(ask_text(), is_last=True)
        while not call.answer.head:
            assert await call.step()
        assert trio.current_time() == 5


@pytest.mark.parametrize(
    ("flags_last", "asks", "expected"),
    [
        (False, False, [("One", False), (" café", False)]),
        (False, True, [("One", False), (" café", False), (None, True)]),
    ],
)
async def test_an_empty_last_response_comes_to_those_who_ask(
    flags_last: bool, asks: bool, expected: list[tuple[str | None, bool]], autojump_clock: MockClock
) -> None:
    async with open_triton(TritonSettings(flags_last=flags_last), QUICK) as double, open_call(double) as call:
        await call.send(ask_text(last=asks), is_last=True)
        answer = await call.finish()
    assert [(text_of(reply), is_last(reply)) for reply in answer.replies()] == expected


async def test_a_backend_may_mark_its_last_response_itself(autojump_clock: MockClock) -> None:
    settings = TritonSettings(dialect="vllm", flags_last=True)
    async with open_triton(settings, QUICK) as double, open_call(double) as call:
        await call.send(ask_text(model="vllm_model", last=True), is_last=True)
        answer = await call.finish()
    assert [is_last(reply) for reply in answer.replies()] == [False, False, True]


async def test_requests_on_one_stream_end_each_for_itself(autojump_clock: MockClock) -> None:
    scripts = (Script.of(Pause(2), Text("slow")), Script.of(Text("x"), Fail(500, "", "broke", in_stream=True)))
    async with open_triton(None, *scripts) as double, open_call(double) as call:
        await call.send(ask_text(identifier="a"))
        await call.send(ask_text(identifier="b"), is_last=True)
        answer = await call.finish()
    replies = answer.replies()
    assert [reply["error_message"] for reply in replies] == ["", "broke", ""]
    assert answer.texts == ["x", "slow"]
    assert answer.status == 0


async def test_a_cancelled_call_frees_its_places_soon(autojump_clock: MockClock) -> None:
    settings = TritonSettings(slots=1, release_s=0.5)
    async with open_triton(settings, Script.of(Accept(), Stall())) as double, open_call(double) as call:
        await call.send(ask_text(identifier="a"))
        await call.send(ask_text(identifier="b"))
        await trio.sleep(1)
        assert (double.facts.live, double.repository.queue.running) == (2, 1)
        await call.cancel()
        await trio.sleep(0.25)
        assert double.facts.live == 2
        await trio.sleep(0.5)
        assert double.facts.live == 0
        assert double.facts.gone == [(1.0, 0), (1.0, 0)]


async def test_closing_the_connection_cancels_what_is_on_it(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Text("One"), Stall())) as double:
        async with open_call(double) as call:
            await call.send(ask_text())
            await call.until(1)
            assert (double.facts.live, double.facts.connections) == (1, 1)
        await trio.sleep(1)
        assert (double.facts.live, double.facts.connections, double.facts.gone) == (0, 0, [(0.0, 0)])


async def test_a_client_that_says_goodbye_is_gone(autojump_clock: MockClock) -> None:
    script = Script.of(Text("One"), Pause(1), Text(" two"), Stall())
    async with open_triton(TritonSettings(release_s=5), script) as double, open_call(double) as call:
        await call.send(ask_text())
        await call.until(1)
        await call.say_goodbye()
        await trio.sleep(2)
        assert (double.facts.live, double.facts.connections) == (0, 0)


async def test_a_request_is_stopped_by_its_id_from_another_stream(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Text("One"), Stall())) as double, open_call(double) as call:
        await call.send(ask_text(identifier="mine"))
        await call.until(1)
        async with open_call(double) as other:
            await other.send(ask_text(identifier="mine", stop=True), is_last=True)
            stop = await other.finish()
        await call.until(2)
        words = call.answer.replies()[1]["error_message"]
    assert (stop.messages, stop.status) == ([], 0)
    assert words == "[request id: mine] in ensemble 'ensemble', Request cancelled by client"
    assert double.facts.submitted == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Fail(503, "", "no room"), "no room"),
        (Loading(60), "is not at ready state"),
    ],
)
async def test_a_failure_before_any_response_is_a_message(step: Step, words: str, autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(step)) as double, open_call(double) as call:
        await call.send(ask_text(), is_last=True)
        answer = await call.finish()
    (reply,) = answer.replies()
    assert words in str(reply["error_message"])
    assert answer.status == 0


async def test_a_full_queue_is_a_message(autojump_clock: MockClock) -> None:
    settings = TritonSettings(slots=1, max_queue_size=1)
    async with open_triton(settings, Script.of(Stall())) as double, open_call(double) as call:
        for name in "abc":
            await call.send(ask_text(identifier=name))
            await wait_all_tasks_blocked()
        await call.until(1)
    (reply,) = call.answer.replies()
    assert reply["error_message"] == "[request id: c] Exceeds maximum queue size"


async def test_metadata_makes_a_failure_the_streams_status(autojump_clock: MockClock) -> None:
    script = Script.of(Text("One"), Fail(500, "", "broke\n100%", in_stream=True))
    metadata = {"triton_grpc_error": "true"}
    async with open_triton(None, script) as double, open_call(double, metadata=metadata) as call:
        await call.send(ask_text())
        answer = await call.finish()
    assert (answer.status, answer.trailers["grpc-message"]) == (13, "broke%0A100%25")


@pytest.mark.parametrize(
    ("step", "is_whole", "status"),
    [(Cut(clean=True), True, 0), (Cut(clean=False), False, -1), (Reset(), False, -1), (Die(1), False, -1)],
)
async def test_a_stream_breaks_off_as_the_script_says(
    step: Step, is_whole: bool, status: int, autojump_clock: MockClock
) -> None:
    async with open_triton(None, Script.of(Text("One"), Pause(1), step)) as double, open_call(double) as call:
        await call.send(ask_text())
        answer = await call.finish()
        await trio.sleep(1)
        assert double.facts.live == 0
    assert (answer.texts, answer.is_whole, answer.status) == (["One"], is_whole, status)


async def test_what_ends_a_stream_ends_it_for_every_request_on_it(autojump_clock: MockClock) -> None:
    steady: list[Step] = [Text("x"), Pause(0.25)]
    scripts = (Script.of(Pause(0.9), Cut(clean=True)), Script.of(*steady * 20))
    async with open_triton(None, *scripts) as double, open_call(double) as call:
        await call.send(ask_text(identifier="a"))
        await call.send(ask_text(identifier="b"))
        answer = await call.finish()
        await trio.sleep(1)
        assert double.facts.live == 0
    assert (answer.status, len(answer.texts)) == (0, 4)


async def test_a_client_that_opens_no_window_is_waited_for(autojump_clock: MockClock) -> None:
    script = Script.of(Text("x" * 100_000))
    async with open_triton(None, script) as double, open_call(double) as call:
        call.acknowledges = False
        await call.send(ask_text(), is_last=True)
        with trio.move_on_after(60):
            await call.finish()
        assert (len(call.answer.body), double.facts.live) == (65_535, 1)
        await call.widen(100_000)
        answer = await call.finish()
    assert answer.texts == ["x" * 100_000]


async def test_a_proxy_may_answer_in_the_servers_place(autojump_clock: MockClock) -> None:
    page = Answer(502, b"<html>Bad Gateway</html>", "text/html")
    async with open_triton(None, Script.of(page)) as double, open_call(double) as call:
        await call.send(ask_text(), is_last=True)
        answer = await call.finish()
    assert (answer.head[":status"], answer.body) == ("502", b"<html>Bad Gateway</html>")


async def test_bytes_that_are_no_message_are_put_where_messages_go(autojump_clock: MockClock) -> None:
    steps = (Text("One"), Malformed(b"\x00\x00\x00\x00\x02\xff\xff"), Stall())
    async with open_triton(None, Script.of(*steps)) as double, open_call(double) as call:
        await call.send(ask_text())
        await call.until(2)
    assert call.answer.messages[1] == b"\xff\xff"


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (9,), (64,)])
async def test_bytes_may_come_in_any_pieces(sizes: tuple[int, ...], autojump_clock: MockClock) -> None:
    script = Script.of(SplitBytesAt(sizes), Text("caf"), Text("é"), Finish())
    async with open_triton(None, script) as double, open_call(double) as call:
        await call.send(ask_text(), is_last=True)
        answer = await call.finish()
    assert (answer.texts, answer.status) == (["caf", "é"], 0)


async def test_a_client_that_does_not_read_holds_the_server_back(autojump_clock: MockClock) -> None:
    script = Script.of(*[Text("x" * 10_000)] * 40)
    async with open_triton(None, script, link=Link(capacity_bytes=4096)) as double:
        async with open_call(double) as call:
            await call.send(ask_text())
            await trio.sleep(60)
            assert double.facts.live == 1
        await trio.sleep(1)
        assert (double.facts.live, double.facts.connections) == (0, 0)


async def test_an_overloaded_server_is_silent(autojump_clock: MockClock) -> None:
    async with open_triton(None, Script.of(Overload())) as double, open_call(double) as call:
        await call.send(ask_text())
        with trio.move_on_after(600) as patience:
            while not call.answer.head:
                await call.step()
        assert patience.cancelled_caught
        assert double.facts.live == 1


async def test_reports_are_answered(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        ready = await ask(double, "ModelReady", {"name": "ensemble"})
        assert ready.replies("ModelReadyResponse") == [{"ready": True}]
        unknown = await ask(double, "ModelMetadata", {"name": "nope"})
        assert (unknown.status, unknown.head["grpc-message"]) == (5, "Request for unknown model: 'nope' is not found")
        async with open_call(double, "SystemSharedMemoryStatus") as call:
            await call.half_close()
            assert (await call.finish()).status == 12


async def test_details_are_those_of_a_real_server(autojump_clock: MockClock) -> None:
    """Seen with tritonserver 2.51."""
    async with open_triton(None, QUICK) as double:
        assert (await ask(double, "ModelReady", {"name": "nope"})).replies("ModelReadyResponse") == [{"ready": False}]
        stats = await ask(double, "ModelStatistics", {"name": "nope"})
        assert (stats.status, stats.head["grpc-message"]) == (3, "requested model 'nope' is not available")
        version = await ask(double, "ModelMetadata", {"name": "ensemble", "version": "x"})
        assert version.status == 3
        async with open_call(double) as call:
            await call.send(ask_text(model="nope", identifier="z"))
            await call.send(ask_text(identifier="a", last=True), is_last=True)
            failed, *_, last = (await call.finish()).replies()
    assert failed["infer_response"] == {**EMPTY, "id": "z"}
    parameters = {"triton_final_response": {"bool_param": True}}
    assert last["infer_response"] == {**EMPTY, "id": "a", "model_name": "ensemble", "parameters": parameters}


EMPTY = {"model_name": "", "model_version": "", "id": "", "parameters": {}, "outputs": [], "raw_output_contents": []}


async def test_what_is_no_message_is_an_error_of_the_call(autojump_clock: MockClock) -> None:
    async with open_triton() as double, open_call(double, "ModelInfer") as call:
        await call.send(b"\xff\xff\xff", is_last=True)
        answer = await call.finish()
    assert answer.status == 13


async def test_a_server_that_is_down_refuses_on_every_port(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        double.stop()
        double.start(loading_s=5)
        for port in (PORT - 1, PORT, PORT + 1):
            with pytest.raises(ConnectionRefusedError):
                await double.dial(HOST, port)
        await trio.sleep(6)
        for port in (PORT - 1, PORT, PORT + 1):
            await (await double.dial(HOST, port)).aclose()


async def test_a_protocol_violation_ends_the_connection(autojump_clock: MockClock) -> None:
    async with open_triton() as double:
        stream = await double.dial(HOST, PORT)
        await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        while await stream.receive_some():
            pass
        assert double.facts.connections == 0
