"""The llama.cpp double under scripts: slots, silence, loss and death, in virtual time."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings, open_llamacpp
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
    Together,
    Usage,
)
from tests.conformance_engines.client import HOST, PORT, Call, ask, open_call

ONE_SLOT = LlamaSettings(slots=1)
QUIET = LlamaSettings(slots=1, ping_s=None)


def asks(prompt: str = "Hi", **fields: object) -> dict[str, object]:
    return {"prompt": prompt, "stream": True, **fields}


async def busy_slots(double: LlamaCppDouble) -> list[bool]:
    slots = (await ask(double, "/slots")).json
    assert isinstance(slots, list)
    return [slot["is_processing"] for slot in slots]


async def test_a_request_beyond_the_slots_gets_no_byte_until_one_is_free(autojump_clock: MockClock) -> None:
    script = Script.of(Text("a"), Pause(10), Finish())
    async with open_llamacpp(ONE_SLOT, script) as double, open_call(double, "/completion", asks()) as first:
        await first.until(b'"a"')
        async with open_call(double, "/completion", asks()) as second:
            with trio.move_on_after(9) as patience:
                await second.step()
            assert patience.cancelled_caught
            assert (await first.finish()).is_whole
            await second.until(b'"a"')
            assert second.answer.status == 200


async def test_the_head_comes_when_a_slot_starts_and_comments_keep_the_line_warm(autojump_clock: MockClock) -> None:
    async with (
        open_llamacpp(LlamaSettings(), Script.of(Accept(), Pause(3.5), Text("late"))) as double,
        open_call(double, "/completion", asks()) as call,
    ):
        await call.step()
        assert (call.answer.status, trio.current_time()) == (200, 0.0)
        answer = await call.finish()
        assert answer.pieces[:3] == [b":\n\n"] * 3
        assert answer.text == "late"


async def test_while_it_loads_every_path_answers_503(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(api_key="k"), Script(loading_s=2)) as double:
        for path in ("/health", "/props", "/slots", "/nope", "/v1/models"):
            answer = await ask(double, path)
            assert (answer.status, answer.json) == (503, LOADING)
        await trio.sleep(2)
        assert (await ask(double, "/health")).json == {"status": "ok"}


LOADING = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}


async def test_a_slot_is_freed_a_while_after_its_client_left(autojump_clock: MockClock) -> None:
    async with open_llamacpp(ONE_SLOT, Script.of(Text("a"), Stall())) as double:
        async with open_call(double, "/completion", asks()) as call:
            await call.until(b'"a"')
            assert (await busy_slots(double), double.facts.live) == ([True], 1)
            await trio.sleep(5)
        await trio.sleep(0.5)
        assert await busy_slots(double) == [True]
        await trio.sleep(0.75)
        assert (await busy_slots(double), double.facts.live) == ([False], 0)
        assert double.facts.gone == [(5.0, 0)]


@pytest.mark.parametrize(("reports", "freed_after_s"), [(True, 1.0), (False, 9.0)])
async def test_a_client_lost_in_prefill_is_noticed_only_if_progress_is_reported(
    reports: bool, freed_after_s: float, autojump_clock: MockClock
) -> None:
    async with open_llamacpp(LlamaSettings(prefill_s=10)) as double:
        async with open_call(double, "/completion", asks(return_progress=reports)) as call:
            await call.step()
            await trio.sleep(1)
        await trio.sleep(freed_after_s - 0.25)
        assert double.facts.live == 1
        await trio.sleep(0.5)
        assert double.facts.live == 0


async def test_a_client_that_leaves_the_queue_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_llamacpp(ONE_SLOT, Script.of(Text("a"), Stall())) as double:
        async with open_call(double, "/completion", asks()) as first:
            await first.until(b'"a"')
            async with open_call(double, "/completion", asks()):
                await wait_all_tasks_blocked()
                assert b"requests_deferred 1" in (await ask(double, "/metrics")).body
                assert double.facts.live == 2
            await wait_all_tasks_blocked()
            assert b"requests_deferred 0" in (await ask(double, "/metrics")).body
            assert double.facts.live == 1
        assert [index for _, index in double.facts.gone] == [2 - 1]


async def test_a_client_that_does_not_read_holds_the_engine_back(autojump_clock: MockClock) -> None:
    many = Script.of(*[Text("x" * 100)] * 200)
    async with open_llamacpp(QUIET, many, link=Link(capacity_bytes=1000)) as double:
        async with open_call(double, "/completion", asks()):
            await trio.sleep(60)
            assert double.facts.live == 1
        await trio.sleep(2)
        assert (double.facts.live, double.facts.connections) == (0, 0)


async def test_a_token_that_ends_inside_a_character_gives_no_frame(autojump_clock: MockClock) -> None:
    script = Script.of(Text(" caf"), Text("é", tokens=2), Text(""), Text("!"), Finish("stop_string"))
    async with open_llamacpp(ONE_SLOT, script) as double:
        frames = (await ask(double, "/completion", asks())).frames
    assert [(frame["content"], frame["tokens_predicted"]) for frame in frames] == [
        (" caf", 1),
        ("é", 3),
        ("", 4),
        ("!", 5),
        ("", 5),
    ]
    assert frames[-1]["stop_type"] == "word"


async def test_line_separators_go_out_raw(autojump_clock: MockClock) -> None:
    async with open_llamacpp(ONE_SLOT, Script.of(Text("a\u2028b\u0085c"))) as double:
        answer = await ask(double, "/completion", asks())
    assert "a\u2028b\u0085c".encode() in answer.body
    assert answer.text == "a\u2028b\u0085c"


async def test_the_last_frame_repeats_the_prompt_however_long(autojump_clock: MockClock) -> None:
    prompt = "wörd" * 25_000
    async with open_llamacpp(ONE_SLOT, Script.of(Text("a")), link=Link(capacity_bytes=4096)) as double:
        answer = await ask(double, "/completion", asks(prompt))
    assert answer.frames[-1]["prompt"] == f"<bos>{prompt}"
    assert len(answer.body) > 65_536


@pytest.mark.parametrize(
    ("reason", "stop_type"), [("stop", "eos"), ("stop_string", "word"), ("length", "limit"), ("other", "none")]
)
async def test_counts_and_the_reason_are_reported_at_the_end(reason: str, stop_type: str) -> None:
    async with open_llamacpp(QUIET, Script.of(Text("a"), Usage(11, 22), Finish(reason))) as double:
        last = (await ask(double, "/completion", asks())).frames[-1]
    assert (last["tokens_evaluated"], last["tokens_predicted"], last["stop_type"]) == (11, 22, stop_type)


COMPUTE = Fail(500, "server_error", "Compute error.", in_stream=True)


async def test_nothing_follows_an_error_frame() -> None:
    async with open_llamacpp(QUIET, Script.of(Text("a"), COMPUTE, Text("b"))) as double:
        answer = await ask(double, "/completion", asks())
        assert double.facts.live == 0
    assert answer.is_whole
    assert answer.body.endswith(b'data: {"error":{"code":500,"message":"Compute error.","type":"server_error"}}\n\n')
    assert answer.text == "a"


async def test_an_old_build_writes_an_error_line() -> None:
    async with open_llamacpp(LlamaSettings(has_legacy_errors=True), Script.of(Text("a"), COMPUTE)) as double:
        answer = await ask(double, "/completion", asks())
    assert answer.body.endswith(b'\n\nerror: {"code":500,"message":"Compute error.","type":"server_error"}\n\n')


async def test_a_dying_batch_takes_every_busy_slot_with_it(autojump_clock: MockClock) -> None:
    batch = Fail(500, "server_error", "decode() failed", in_stream=True, whole_batch=True)
    async with open_llamacpp(LlamaSettings(slots=2)) as double:
        double.load(Script.of(Text("a"), Stall()), Script.of(Text("b"), Pause(1), batch))
        async with open_call(double, "/completion", asks()) as first:
            await first.until(b'"a"')
            second = await ask(double, "/completion", asks())
            answer = await first.finish()
        assert b"decode() failed" in answer.body
        assert b"decode() failed" in second.body
        assert double.facts.live == 0
        double.load()
        assert (await ask(double, "/completion", asks(n_predict=2))).is_whole


async def test_a_refusal_of_the_context_names_both_figures() -> None:
    async with open_llamacpp(LlamaSettings(n_ctx=8)) as double:
        answer = await ask(double, "/completion", asks("one two three four five six seven eight"))
    assert answer.status == 400
    assert answer.json == {
        "error": {
            "code": 400,
            "message": "request (9 tokens) exceeds the available context size (8 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 9,
            "n_ctx": 8,
        }
    }


@pytest.mark.parametrize(
    ("steps", "is_whole", "status"),
    [
        ((Text("a"), Cut(clean=True)), True, 200),
        ((Cut(clean=True),), True, 200),
        ((Text("a"), Cut(clean=False)), False, 200),
        ((Cut(clean=False),), False, 0),
        ((Text("a"), Reset()), False, 200),
        ((Reset(),), False, 0),
        ((Malformed(b'data: {"content'), Cut(clean=False)), False, 200),
        ((Answer(502, b"<html>bad gateway", "text/html"),), True, 502),
        ((Fail(400, "invalid_request_error", "no"),), True, 400),
        ((Loading(3),), True, 503),
    ],
)
async def test_an_answer_can_end_badly(steps: tuple[Step, ...], is_whole: bool, status: int) -> None:
    async with open_llamacpp(QUIET, Script(steps)) as double:
        answer = await ask(double, "/completion", asks())
        assert (answer.is_whole, answer.status) == (is_whole, status)
        assert b'"stop":true' not in answer.body
        await wait_all_tasks_blocked()
        assert (double.facts.live, double.facts.connections) == (0, 0)


async def test_a_dead_engine_resets_refuses_loads_and_comes_back(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(slots=2)) as double:
        double.load(Script.of(Text("a"), Stall()), Script.of(Text("b"), Die(down_s=1, loading_s=2)), Script())
        async with open_call(double, "/completion", asks()) as first:
            await first.until(b'"a"')
            assert not (await ask(double, "/completion", asks())).is_whole
            assert not (await first.finish()).is_whole
        assert (double.facts.live, double.facts.connections) == (0, 0)
        with pytest.raises(ConnectionRefusedError):
            await double.dial(HOST, PORT)
        await trio.sleep(1.5)
        assert (await ask(double, "/health")).status == 503
        await trio.sleep(2)
        assert (await ask(double, "/completion", asks(n_predict=1))).is_whole


async def test_an_engine_can_be_stopped_and_started_by_hand(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(), Script.of(Text("a"), Stall())) as double:
        async with open_call(double, "/completion", asks()) as call:
            await call.until(b'"a"')
            double.stop()
            assert not (await call.finish()).is_whole
        assert (double.facts.live, double.facts.submitted) == (0, 1)
        with pytest.raises(ConnectionRefusedError):
            await double.dial(HOST, PORT)
        double.start(loading_s=1)
        assert (await ask(double, "/health")).status == 503
        await trio.sleep(1)
        assert (await ask(double, "/health")).status == 200


async def test_dialling_another_address_fails_as_the_system_would() -> None:
    async with open_llamacpp() as double:
        with pytest.raises(socket.gaierror):
            await double.dial("elsewhere.test", PORT)
        with pytest.raises(ConnectionRefusedError):
            await double.dial(HOST, 1)


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 3), (7,)])
async def test_bytes_arrive_in_the_pieces_the_script_wants(sizes: tuple[int, ...]) -> None:
    script = Script.of(SplitBytesAt(sizes), Text("漢字"))
    async with open_llamacpp(QUIET, script) as double, open_call(double, "/completion", asks()) as call:
        pieces = [bytes(await call.stream.receive_some()) for _ in range(40)]
    lengths = [len(piece) for piece in pieces]
    assert lengths[: len(sizes)] == list(sizes)
    assert max(lengths) == max(sizes)


@pytest.mark.parametrize("last", [Finish(), Cut(clean=False), Cut(clean=True)])
async def test_what_belongs_together_leaves_in_one_piece(last: Step, autojump_clock: MockClock) -> None:
    script = Script.of(Together(), Text("One"), Text(" two"), Pause(1.0), Text(" three"), Text(" four"), last)
    async with open_llamacpp(QUIET, script) as double, open_call(double, "/completion", asks()) as call:
        before, after = [bytes(await call.stream.receive_some()) for _ in range(2)]
        assert trio.current_time() == 1.0
    assert (before.count(b"data: "), before.count(b"\r\n\r\n")) == (2, 1)
    assert len(before.partition(b"\r\n\r\n")[2].split(b"\r\n")) == 3, (
        "one chunk: its size, its bytes and nothing behind"
    )
    assert [word in before for word in (b"One", b" two", b" three")] == [True, True, False]
    assert [word in after for word in (b" two", b" three", b" four")] == [False, True, True]


async def test_an_overloaded_engine_says_nothing_at_all(autojump_clock: MockClock) -> None:
    async with open_llamacpp(ONE_SLOT, Script.of(Overload())) as double:
        async with open_call(double, "/completion", asks()) as call:
            with trio.move_on_after(3600) as patience:
                await call.step()
            assert patience.cancelled_caught
            assert b"requests_deferred 1" in (await ask(double, "/metrics")).body
        await wait_all_tasks_blocked()
        assert b"requests_deferred 0" in (await ask(double, "/metrics")).body


async def test_a_path_can_be_made_to_answer_something_else() -> None:
    async with open_llamacpp() as double:
        double.load(Script.of(Fail(500, "server_error", "no")), Script.of(Text('{"status":"ok"}')), path="/health")
        assert [(await ask(double, "/health")).status for _ in range(3)] == [500, 200, 200]
        double.load(path="/health")
        assert (await ask(double, "/health")).json == {"status": "ok"}


async def test_an_idle_connection_is_closed_after_five_seconds(autojump_clock: MockClock) -> None:
    async with open_llamacpp() as double, open_call(double, "/health") as call:
        assert (await call.finish()).status == 200
        assert await call.stream.receive_some() == b""
        assert trio.current_time() == pytest.approx(5.0)


async def test_the_connection_of_a_stream_is_not_kept(autojump_clock: MockClock) -> None:
    async with open_llamacpp() as double, open_call(double, "/completion", asks(n_predict=1)) as call:
        answer = await call.finish()
        assert answer.headers["keep-alive"] == "timeout=5, max=100"
        assert await call.stream.receive_some() == b""
        assert trio.current_time() == 0


async def test_the_same_seed_makes_the_same_text() -> None:
    async with open_llamacpp() as double:

        async def text(**fields: object) -> str:
            return (await ask(double, "/completion", {**asks(n_predict=8), **fields})).text

        assert await text(seed=7) == await text(seed=7) != await text(seed=8)
        assert await text() != await text()
        assert await text(temperature=0, seed=7) == await text(temperature=0)


async def test_a_prompt_that_was_seen_is_not_computed_again(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(slots=2, prefill_s=1)) as double:

        async def cached(**fields: object) -> object:
            request = {**asks("a b c d", return_progress=True), **fields}
            first = (await ask(double, "/completion", request)).frames[0]
            assert isinstance(first["prompt_progress"], dict)
            return first["prompt_progress"]["cache"]

        assert [await cached(n_predict=1), await cached(n_predict=1)] == [0, 4]
        assert await cached(n_predict=1, cache_prompt=False) == 0


async def test_real_tcp_works_the_same_and_can_die() -> None:
    async with open_llamacpp(LlamaSettings(slots=1, release_s=0.0)) as double:
        port = int((await double.serve_tcp()).rsplit(":", 1)[1])
        double.load(Script.of(Text("a")), Script.of(Text("a"), Die(down_s=0.05)))
        answers = []
        for _ in range(2):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                call = Call(stream)
                await call.send("POST", "/completion", b'{"prompt":"a","stream":true}', {})
                answers.append((await call.finish()).is_whole)
        assert answers == [True, False]
        with pytest.raises(OSError, match="all attempts"):
            await trio.open_tcp_stream("127.0.0.1", port)


async def test_an_exception_in_the_block_comes_out_alone() -> None:
    with pytest.raises(KeyError):
        async with open_llamacpp():
            raise KeyError("mine")


async def test_a_client_that_leaves_at_the_error_frame_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(), Script.of(Text("a"), COMPUTE)) as double:
        async with open_call(double, "/completion", asks()) as call:
            await call.until(b"Compute error.")
        await trio.sleep(60)
        assert (double.facts.live, double.facts.connections) == (0, 0)
