"""Live streams: what the engine says becomes events, in order and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterError,
    DecodeTimeout,
    End,
    Failed,
    InternalError,
    Metrics,
    Started,
    Token,
    WorkerReset,
)
from http_util._live_stream import LiveStream
from http_util.live import LiveStreams
from tests.support.http_wire import (
    LAST_CHUNK,
    answering,
    chunk,
    response,
)
from tests.support.live_bench import CANCELED, HEAD, ONE, STARTED, all_of, bench, decode, events, nothing, paced

if TYPE_CHECKING:
    from trio.testing import MockClock

    from adapter_api import TokenEvent
    from http_util.live import Progress

pytestmark = pytest.mark.req("ADAPT-3005", "OC-CTRL-2012")


class TestStreams:
    async def test_a_stream_from_start_to_end(self, autojump_clock: MockClock) -> None:
        serve = paced(
            (1, HEAD + events("a", "metrics")), (0.5, events("b")), (0.25, events("end", "[DONE]") + LAST_CHUNK)
        )
        async with bench(serve) as it:
            async with it.stream() as stream:
                assert await all_of(stream) == [
                    STARTED,
                    Token("a", 0),
                    Metrics({"kv": 1}),
                    Token("b", 1),
                    End(tokens_out=2, decode_time_ms=750),
                ]
            assert it.fake.open_connections == 1  # for the next request

    async def test_the_end_of_the_body_may_lag_behind_the_end_marker(self, autojump_clock: MockClock) -> None:
        async with bench(paced((0, HEAD + events("end")), (0.02, LAST_CHUNK))) as it:
            async with it.stream() as stream:
                await all_of(stream)
            assert it.fake.open_connections == 1

    async def test_a_body_that_does_not_end_after_the_end_marker_is_closed(self, autojump_clock: MockClock) -> None:
        async with bench(paced((0, HEAD + events("end")))) as it:
            async with it.stream() as stream:
                await all_of(stream)
            assert it.fake.open_connections == 0
            assert trio.current_time() < 0.1

    async def test_leaving_early_closes_the_connection(self) -> None:
        async with bench(answering([HEAD, events("a", "b")])) as it:
            async with it.stream() as stream:
                await anext(stream)
            assert it.fake.open_connections == 0

    async def test_tokens_before_a_failure_are_given_first(self) -> None:
        async with bench(answering([HEAD, events("a", "fail", "b")])) as it, it.stream() as stream:
            given = [await anext(stream) for _ in range(3)]
            assert given == [STARTED, Token("a", 0), Token("last words", 1)]
            with pytest.raises(WorkerReset, match="compute error"):
                await anext(stream)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    async def test_a_failure_given_as_an_event_ends_the_stream(self) -> None:
        async with bench(answering([HEAD, events("failed", "b")])) as it, it.stream() as stream:
            given = await all_of(stream)
            assert isinstance(given[-1], Failed)

    @pytest.mark.parametrize("word", ["json", "type"])
    async def test_a_frame_that_cannot_be_parsed_is_not_quoted(self, word: str) -> None:
        async with bench(answering([HEAD, events(word)])) as it, it.stream() as stream:
            await anext(stream)
            with pytest.raises(AdapterError, match="completion: a frame is not the engine's protocol") as caught:
                await anext(stream)
            assert "secret" not in str(caught.value)
            assert caught.value.__cause__ is None

    async def test_a_body_without_end_marker_is_a_reset(self) -> None:
        async with bench(answering([HEAD, events("a") + LAST_CHUNK])) as it, it.stream() as stream:
            with pytest.raises(WorkerReset, match="without its end marker"):
                await all_of(stream)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    async def test_an_engine_without_end_marker_ends_with_its_body(self) -> None:
        def at_end(so_far: Progress) -> list[TokenEvent]:
            return [End(tokens_out=so_far.tokens, decode_time_ms=0)]

        async with (
            bench(answering([HEAD, events("a") + LAST_CHUNK])) as it,
            it.live.stream(ONE, it.source(), decode, opening=(STARTED,), at_end=at_end) as stream,
        ):
            assert (await all_of(stream))[-1] == End(tokens_out=1, decode_time_ms=0)

    async def test_an_engine_that_refuses(self) -> None:
        async with bench(answering([response(b"no", status=503)])) as it:
            with pytest.raises(Exception, match="HTTP 503"):
                await it.stream().__aenter__()

    async def test_one_task_has_one_stream(self) -> None:
        serve = answering([HEAD, events("a", "end") + LAST_CHUNK], [HEAD, events("b", "end") + LAST_CHUNK])
        async with bench(serve) as it:
            async with it.stream() as stream:
                with pytest.raises(InternalError, match="task one has a stream already"):
                    await it.stream().__aenter__()
                with pytest.raises(InternalError, match="task one has a stream already"):
                    await it.live.call(ONE, nothing).__aenter__()
                assert len(await all_of(stream)) == 3
            async with it.stream() as stream:
                assert len(await all_of(stream)) == 3


class TestFirstToken:
    """Events that are no tokens do not end the wait for the first one, and do not shorten it either."""

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_its_allowance_runs_on(self, ticks: int, autojump_clock: MockClock) -> None:
        late = 0.5 + ticks * 2.0**-10
        reading = events("metrics")
        serve = paced((1, HEAD), (1, reading), (1.5, reading), (late, events("a", "end") + LAST_CHUNK))
        async with bench(serve) as it:
            source = it.source(first_token_s=4, idle_s=1)
            async with it.live.stream(ONE, source, decode, opening=(STARTED,)) as stream:
                if ticks < 0:
                    assert len(await all_of(stream)) == 5
                    return
                with pytest.raises(DecodeTimeout, match="no first token within 4 s"):
                    await all_of(stream)
                assert trio.current_time() == 4

    async def test_after_it_the_gaps_are_bounded(self, autojump_clock: MockClock) -> None:
        async with bench(paced((3, HEAD + events("metrics", "a")), (1, events("end")))) as it:
            source = it.source(first_token_s=4, idle_s=1)
            async with it.live.stream(ONE, source, decode, opening=(STARTED,)) as stream:
                with pytest.raises(DecodeTimeout, match="silent for 1 s"):
                    await all_of(stream)

    async def test_a_slow_consumer_does_not_spend_it(self, autojump_clock: MockClock) -> None:
        async with bench(paced((1, HEAD + events("metrics")), (1, events("metrics")), (1, events("a", "end")))) as it:
            source = it.source(first_token_s=4, idle_s=1)
            async with it.live.stream(ONE, source, decode, opening=(STARTED,)) as stream:
                given = 0
                async for _ in stream:
                    given += 1
                    await trio.sleep(100)
                assert (given, trio.current_time()) == (5, 501)


async def test_at_hand_is_what_can_be_had_without_waiting() -> None:
    async with bench(answering([HEAD + events("a", "b", "end") + LAST_CHUNK])) as it, it.stream() as stream:
        assert isinstance(stream, LiveStream)
        assert stream.at_hand == 1
        assert [await anext(stream), await anext(stream)] == [STARTED, Token("a", 0)]
        assert stream.at_hand == 2
        await it.live.cancel(ONE)
        assert stream.at_hand == 1


class TestCalls:
    async def test_an_answer_in_one_piece(self) -> None:
        live = LiveStreams()
        async with live.call(ONE, nothing) as stream:
            assert await all_of(stream) == [STARTED, End(tokens_out=0, decode_time_ms=0)]
        assert len(live) == 0

    async def test_its_failure(self) -> None:
        async def fail() -> list[TokenEvent]:
            await trio.lowlevel.checkpoint()
            raise WorkerReset("gone")

        live = LiveStreams()
        with pytest.raises(WorkerReset, match="gone"):
            await live.call(ONE, fail).__aenter__()
        assert len(live) == 0

    async def test_a_cancel_stops_it(self, autojump_clock: MockClock) -> None:
        async def work() -> list[TokenEvent]:
            await trio.sleep(100)
            return []

        async def cancel() -> None:
            await trio.sleep(1)
            await live.cancel(ONE)

        live = LiveStreams()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            async with live.call(ONE, work) as stream:
                assert trio.current_time() == 1
                assert await all_of(stream) == [Started(), CANCELED(tokens_out=0, decode_time_ms=0)]

    async def test_a_cancel_wins_over_an_answer_that_was_not_taken(self) -> None:
        live = LiveStreams()
        async with live.call(ONE, nothing) as stream:
            assert await anext(stream) == STARTED
            await live.cancel(ONE)
            assert await all_of(stream) == [CANCELED(tokens_out=0, decode_time_ms=0)]


async def test_the_repr_tells_the_state_and_no_text() -> None:
    async with bench(answering([HEAD, chunk(b"data: secret\n\n")])) as it, it.stream() as stream:
        await anext(stream)
        await anext(stream)
        assert repr(stream) == "<LiveStream open tokens=1>"
        await it.live.cancel(ONE)
        assert repr(stream) == "<LiveStream sealed tokens=1>"
