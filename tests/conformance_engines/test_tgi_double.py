"""The TGI double under scripts: streams, permits, batch, loss and death, in virtual time."""

from __future__ import annotations

from functools import partial

import msgspec
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
    Overload,
    Pause,
    Reset,
    Script,
    SplitBytesAt,
    Stall,
    Text,
    Usage,
)
from conformance.engines.tgi import TgiSettings, open_tgi
from tests.conformance_engines.client import HOST, PORT, Answer, ask
from tests.conformance_engines.tgi_calls import (
    BOOM,
    CHAT,
    OVERLOADED,
    STREAM,
    WHOLE,
    asks,
    calling,
    chats,
    frames,
    post,
    tokens,
)


async def test_a_stream_ends_with_a_special_token_and_no_done(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("Hel"), Text("lo"))) as double:
        answer = await post(double, STREAM, asks(details=True, seed=7, do_sample=True))
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        assert b"[DONE]" not in answer.body
        told = frames(answer)
        assert [frame["index"] for frame in told] == [1, 2, 3]
        assert [(token["text"], token["special"]) for token in tokens(answer)] == [
            ("Hel", False),
            ("lo", False),
            ("</s>", True),
        ]
        assert [frame["generated_text"] for frame in told] == [None, None, "Hello"]
        assert [frame["details"] for frame in told[:2]] == [None, None]
        assert told[2]["details"] == {
            "finish_reason": "eos_token",
            "generated_tokens": 3,
            "seed": 7,
            "input_length": 2,
        }


async def test_details_are_null_unless_asked_for(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        assert frames(await post(double, STREAM, asks()))[-1]["details"] is None
        assert "details" not in msgspec.json.decode((await post(double, WHOLE, asks())).body, type=dict[str, object])


async def test_a_greedy_generation_has_no_seed_to_tell(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"))) as double:
        details = frames(await post(double, STREAM, asks(details=True, seed=7)))[-1]["details"]
        assert isinstance(details, dict)
        assert details["seed"] is None


@pytest.mark.parametrize(("reason", "word"), [("length", "length"), ("stop_string", "stop_sequence"), ("odd", "odd")])
async def test_another_end_sits_on_the_last_text(autojump_clock: MockClock, reason: str, word: str) -> None:
    script = Script.of(Text("a"), Text("b"), Usage(9, 9), Finish(reason))
    async with open_tgi(None, script) as double:
        answer = await post(double, STREAM, asks(details=True))
        assert [token["text"] for token in tokens(answer)] == ["a", "b"]
        assert frames(answer)[-1]["generated_text"] == "ab"
        assert frames(answer)[-1]["details"] == {
            "finish_reason": word,
            "generated_tokens": 9,
            "seed": None,
            "input_length": 9,
        }


async def test_a_text_is_not_held_back_where_silence_follows(autojump_clock: MockClock) -> None:
    async with (
        open_tgi(None, Script.of(Text("a"), Pause(5), Finish("length"))) as double,
        calling(double, STREAM, asks()) as call,
    ):
        await call.until(b'"a"')
        assert trio.current_time() == 0
        assert tokens(await call.finish())[-1]["text"] == ""


async def test_a_token_without_text_has_a_frame_of_its_own(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("漢", tokens=3))) as double:
        told = tokens(await post(double, STREAM, asks()))
        assert [token["text"] for token in told] == ["", "", "漢", "</s>"]
        assert len({token["id"] for token in told}) == 4


async def test_comments_come_every_15_s_of_silence(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(40), Text("b"), Pause(10), Text("c"))
    async with open_tgi(None, script) as double:
        body = (await post(double, STREAM, asks())).body
        assert body.count(b":\n\n") == 2
        assert body.index(b'"a"') < body.index(b":\n\n") < body.rindex(b":\n\n") < body.index(b'"b"')


async def test_separators_of_lines_are_raw_in_the_json(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(SplitBytesAt((1, 2)), Text("a\u2028b\u0085c"))) as double:
        assert "a\u2028b\u0085c".encode() in (await post(double, STREAM, asks())).body


async def test_beyond_the_permits_a_stream_gets_a_200_with_an_error(autojump_clock: MockClock) -> None:
    script = Script.of(Accept(), Stall())
    async with open_tgi(TgiSettings(permits=1), script) as double, calling(double, STREAM, asks()) as first:
        await first.step()
        answer = await post(double, STREAM, asks())
        assert (answer.status, answer.is_whole, frames(answer)) == (200, True, [OVERLOADED])
        told = await post(double, WHOLE, asks())
        assert (told.status, told.json) == (429, OVERLOADED)
        assert "retry-after" not in told.headers
        chat = await post(double, CHAT, chats(stream=True))
        assert chat.body == (
            b'data: {"error":{"message":"Model is overloaded","http_status_code":422}}\n\ndata: [DONE]\n\n'
        )
        assert (await post(double, CHAT, chats())).status == 429


async def test_beyond_the_batch_a_stream_has_its_head_and_waits(autojump_clock: MockClock) -> None:
    first, second = Script.of(Text("a"), Pause(20)), Script.of(Text("b"))
    async with (
        open_tgi(TgiSettings(permits=2, batch=1), first, second) as double,
        calling(double, STREAM, asks()) as one,
        calling(double, STREAM, asks()) as two,
    ):
        await one.until(b'"a"')
        await two.step()
        assert (two.answer.status, trio.current_time()) == (200, 0)
        metrics = (await ask(double, "/metrics")).body
        assert b"tgi_queue_size 1\n" in metrics
        assert b"tgi_batch_current_size 1\n" in metrics
        await two.until(b'"b"')
        assert trio.current_time() == 20
        assert b":\n\n" in two.answer.body


async def test_a_client_that_leaves_frees_its_permit_at_once_and_its_place_soon(autojump_clock: MockClock) -> None:
    settings = TgiSettings(permits=1, batch=1, release_s=0.5)
    async with open_tgi(settings, Script.of(Text("a"), Stall()), Script.of(Text("b"))) as double:
        async with calling(double, STREAM, asks()) as call:
            await call.until(b'"a"')
        await wait_all_tasks_blocked()
        assert (double.facts.live, double.facts.gone) == (1, [(trio.current_time(), 0)])
        answer = await post(double, STREAM, asks())
        assert tokens(answer)[0]["text"] == "b"
        assert trio.current_time() == 0.5
        await wait_all_tasks_blocked()
        assert double.facts.live == 0
        assert b'tgi_request_failure{err="dropped"} 1\n' in (await ask(double, "/metrics")).body


async def test_overload_can_be_played(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Overload())) as double:
        assert frames(await post(double, STREAM, asks())) == [OVERLOADED]
        assert (await post(double, WHOLE, asks())).status == 429


async def test_a_failed_batch_hits_all_that_are_in_it(autojump_clock: MockClock) -> None:
    doom = Fail(424, "generation", BOOM, in_stream=True, whole_batch=True)
    scripts = Script.of(Text("a"), Stall()), Script.of(Pause(1), doom), Script.of(Text("c"))
    answers: dict[int, Answer] = {}

    async def call(number: int, path: str) -> None:
        answers[number] = await post(double, path, asks())

    async with open_tgi(TgiSettings(permits=3, batch=2), *scripts) as double, trio.open_nursery() as nursery:
        for number, path in enumerate((STREAM, WHOLE, STREAM)):
            nursery.start_soon(call, number, path)
            await trio.sleep(0.1)
    assert frames(answers[0])[-1] == {"error": BOOM, "error_type": "generation"}
    assert (answers[1].status, answers[1].json) == (424, {"error": BOOM, "error_type": "generation"})
    assert tokens(answers[2])[0]["text"] == "c"


async def test_nothing_listens_while_it_loads(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Loading(5))) as double:
        assert not (await post(double, STREAM, asks())).is_whole
        with pytest.raises(ConnectionRefusedError):
            await double.dial(HOST, PORT)
        await trio.sleep(5.1)
        assert (await ask(double, "/health")).status == 200


async def test_a_process_that_dies_forgets_its_batch(autojump_clock: MockClock) -> None:
    async with open_tgi(None, Script.of(Text("a"), Die(1, 2)), Script.of(Text("b"))) as double:
        assert not (await post(double, STREAM, asks())).is_whole
        assert double.facts.live == 0
        await trio.sleep(3.1)
        assert tokens(await post(double, STREAM, asks()))[0]["text"] == "b"


@pytest.mark.parametrize(("step", "is_whole"), [(Cut(clean=True), True), (Cut(clean=False), False), (Reset(), False)])
async def test_a_stream_can_break(autojump_clock: MockClock, step: Cut | Reset, is_whole: bool) -> None:
    async with open_tgi(None, Script.of(Text("a"), Pause(1), step)) as double:
        answer = await post(double, STREAM, asks())
        assert (answer.is_whole, len(tokens(answer))) == (is_whole, 1)
        await wait_all_tasks_blocked()
        assert (double.facts.live, double.facts.gone) == (0, [])


async def test_a_health_check_that_fails(autojump_clock: MockClock) -> None:
    async with open_tgi() as double:
        double.is_healthy = False
        told = await ask(double, "/health")
        assert (told.status, told.json) == (503, {"error": "unhealthy", "error_type": "healthcheck"})


async def test_many_requests_at_once_over_real_sockets() -> None:
    async with open_tgi(TgiSettings(permits=32, batch=8)) as double:
        url = await double.serve_tcp()
        port = int(url.rpartition(":")[2])

        async def one(seed: int, said: dict[int, bytes]) -> None:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            body = msgspec.json.encode(asks(max_new_tokens=5, do_sample=True, seed=seed))
            head = f"POST {WHOLE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            async with stream:
                await stream.send_all(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
                said[seed] = b"".join([chunk async for chunk in stream])

        said: dict[int, bytes] = {}
        async with trio.open_nursery() as nursery:
            for seed in range(32):
                nursery.start_soon(partial(one, seed, said))
        assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in said.values())
        assert len(said) == 32
        assert double.facts.live == 0
