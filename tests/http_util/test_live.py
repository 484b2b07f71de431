"""Live streams: a cancel is final the moment it is asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from adapter_api import (
    AdapterError,
    DecodeTimeout,
    End,
    Failed,
    FinishReason,
    FrameOrder,
    InternalError,
    Metrics,
    Started,
    TaskId,
    Token,
    WorkerReset,
)
from http_util._live_stream import LiveStream
from http_util.calls import fetch
from http_util.client import ClientSettings, open_client
from http_util.live import LiveStreams
from http_util.stream import StreamBounds, open_events
from tests.support.http_wire import (
    BASE,
    LAST_CHUNK,
    Engine,
    Peer,
    WatchedStream,
    answering,
    chunk,
    engine,
    event,
    plain_classify,
    response,
    stream_head,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    import httpx
    from trio.testing import MockClock

    from adapter_api import TokenEvent
    from http_util.live import Progress
    from http_util.sse import ServerEvent
    from http_util.stream import EventStream

pytestmark = pytest.mark.req("ADAPT-3005", "OC-CTRL-2012")

ONE = TaskId("one")
STARTED = Started(seed=7)
CANCELED = partial(End, finish_reason=FinishReason.CANCELED, canceled=True)
HEAD = stream_head()


def decode(event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
    """Take every word as a token; some words mean something else."""
    match event.data:
        case b"end":
            yield End(tokens_out=so_far.tokens, decode_time_ms=so_far.decode_time_ms)
        case b"fail":
            yield Token("last words", so_far.tokens)
            raise WorkerReset("completion: compute error")
        case b"failed":
            yield Failed(WorkerReset("completion: compute error"))
        case b"metrics":
            yield Metrics({"kv": 1})
        case b"json":
            msgspec.json.decode(b"{secret}")
        case b"type":
            raise ValueError("secret")
        case word:
            yield Token(word.decode(), so_far.tokens)


class Bench:
    """An engine, a client and the streams under way."""

    def __init__(self, fake: Engine, client: httpx.AsyncClient) -> None:
        self.fake = fake
        self.client = client
        self.live = LiveStreams()

    def source(self, **bounds: float) -> AbstractAsyncContextManager[EventStream]:
        return open_events(self.client, "/x", json={}, bounds=StreamBounds(**bounds), classify=plain_classify)

    def stream(self, task_id: TaskId = ONE) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        return self.live.stream(task_id, self.source(), decode, opening=(STARTED,))


@asynccontextmanager
async def bench(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Bench]:
    async with engine(serve) as fake, open_client(ClientSettings(base_url=BASE, dial=fake.dial)) as client:
        it = Bench(fake, client)
        yield it
        assert len(it.live) == 0


async def all_of(events: AsyncIterator[TokenEvent]) -> list[TokenEvent]:
    """Return what is left of a stream; its order is legal."""
    given = [event async for event in events]
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    order = FrameOrder()
    for item in given if given and isinstance(given[0], Started) else [STARTED, *given]:
        if not isinstance(item, Token):
            order.accept(item)
    assert order.is_done
    return given


def events(*words: str) -> bytes:
    return b"".join(map(event, words))


def paced(*script: tuple[float, bytes]) -> Callable[[Peer], Awaitable[None]]:
    """Return an engine that sends each piece so many seconds after the one before, then stays silent."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        for seconds, piece in script:
            await trio.sleep(seconds)
            await peer.send(piece)
        await peer.wait_gone()

    return serve


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


async def nothing() -> list[TokenEvent]:
    await trio.lowlevel.checkpoint()
    return [STARTED, End(tokens_out=0, decode_time_ms=0)]


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
                async for _ in stream:
                    await trio.sleep(100)


async def test_at_hand_is_what_can_be_had_without_waiting() -> None:
    async with bench(answering([HEAD + events("a", "b", "end") + LAST_CHUNK])) as it, it.stream() as stream:
        assert isinstance(stream, LiveStream)
        assert stream.at_hand == 1
        assert [await anext(stream), await anext(stream)] == [STARTED, Token("a", 0)]
        assert stream.at_hand == 2
        await it.live.cancel(ONE)
        assert stream.at_hand == 1


class HeldStream(WatchedStream):
    """A stream whose reader gets, once it waits, just what it is given; it cannot be closed without waiting."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        super().__init__(inner)
        self._held = b""
        self._released = trio.Event()
        self._reads = 0

    def release(self, data: bytes) -> None:
        self._held = data
        self._released.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._reads += 1
        if self._reads == 1:
            return await self.inner.receive_some(max_bytes)
        await self._released.wait()
        return self._held


class TestCancel:
    async def test_a_waiting_reader_wakes_at_once(self, autojump_clock: MockClock) -> None:
        async with bench(paced((0, HEAD + events("a")), (0.5, events("b")))) as it, trio.open_nursery() as nursery:

            async def cancel() -> None:
                await trio.sleep(1)
                await it.live.cancel(ONE)
                assert it.fake.open_connections == 0
                assert trio.current_time() == 1

            nursery.start_soon(cancel)
            async with it.stream() as stream:
                given = await all_of(stream)
                assert trio.current_time() == 1
            assert given == [STARTED, Token("a", 0), Token("b", 1), CANCELED(tokens_out=2, decode_time_ms=1000)]

    @pytest.mark.parametrize("taken", range(6))
    async def test_it_wins_over_everything_that_is_buffered(self, taken: int, autojump_clock: MockClock) -> None:
        async with bench(answering([HEAD + events("a", "b", "metrics", "c", "end") + LAST_CHUNK])) as it:
            async with it.stream() as stream:
                given = [await anext(stream) for _ in range(taken)]
                await it.live.cancel(ONE)
                given += await all_of(stream)
            tokens = sum(isinstance(item, Token) for item in given)
            assert given[0] == STARTED
            assert given[-1] == CANCELED(tokens_out=tokens, decode_time_ms=0)
            assert len(given) == max(taken, 1) + 1

    async def test_it_wins_over_a_failure(self) -> None:
        async with bench(answering([HEAD + events("a", "fail")])) as it, it.stream() as stream:
            given = [await anext(stream) for _ in range(3)]
            await it.live.cancel(ONE)
            given += await all_of(stream)
            assert isinstance(given[-1], End)
            assert (given[-1].canceled, given[-1].tokens_out) == (True, 2)

    async def test_it_wins_over_bytes_that_have_arrived(self) -> None:
        """The engine has sent more, the reader's wake-up is scheduled, and the cancel comes in between."""
        gate = trio.Event()

        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.send(HEAD + events("a"))
            await gate.wait()
            await peer.send(events("b"))
            await it.live.cancel(ONE)

        async with bench(serve) as it, it.stream() as stream:
            assert [await anext(stream), await anext(stream)] == [STARTED, Token("a", 0)]
            gate.set()
            (end,) = await all_of(stream)
            assert isinstance(end, End)
            assert (end.canceled, end.tokens_out) == (True, 1)

    async def test_it_wins_over_bytes_that_the_reader_was_about_to_be_given(self) -> None:
        async with bench(answering([HEAD + events("a")])) as it:
            it.fake.stream_type = HeldStream
            async with it.stream() as stream, trio.open_nursery() as nursery:
                assert [await anext(stream), await anext(stream)] == [STARTED, Token("a", 0)]

                async def cancel() -> None:
                    await trio.testing.wait_all_tasks_blocked()
                    (end,) = it.fake.client_ends
                    assert isinstance(end, HeldStream)
                    end.release(events("b"))  # from here on the reader is sure to get it
                    await it.live.cancel(ONE)

                nursery.start_soon(cancel)
                (end,) = await all_of(stream)
                assert isinstance(end, End)
                assert (end.canceled, end.tokens_out) == (True, 1)

    async def test_after_the_end_and_for_unknown_tasks_it_does_nothing(self) -> None:
        async with bench(answering([HEAD + events("a", "end") + LAST_CHUNK])) as it:
            await it.live.cancel(TaskId("unknown"))
            async with it.stream() as stream:
                given = await all_of(stream)
                await it.live.cancel(ONE)
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
            assert isinstance(given[-1], End)
            assert not given[-1].canceled
            await it.live.cancel(ONE)

    async def test_twice_is_once(self) -> None:
        async with bench(answering([HEAD + events("a")])) as it, it.stream() as stream:
            await it.live.cancel(ONE)
            await it.live.cancel(ONE)
            assert await all_of(stream) == [STARTED, CANCELED(tokens_out=0, decode_time_ms=0)]

    @pytest.mark.parametrize("at", ["dial", "call before", "headers"])
    async def test_while_the_stream_is_being_opened(self, at: str, autojump_clock: MockClock) -> None:
        async def serve(peer: Peer) -> None:
            while seen := await peer.request():
                if (seen.method == "GET") == (at == "call before"):
                    await peer.wait_gone()
                else:
                    await peer.send(response(b"ok"))

        async with bench(serve) as it, trio.open_nursery() as nursery:
            it.fake.dial_s = 3 if at == "dial" else 0

            @asynccontextmanager
            async def source() -> AsyncIterator[EventStream]:
                await fetch(
                    it.client, "GET", "/", bounds_s=60, random=lambda: 0.0, classify=plain_classify, phase="template"
                )
                async with it.source() as events:
                    yield events

            async def cancel() -> None:
                await trio.sleep(1)
                await it.live.cancel(ONE)
                assert trio.current_time() == 1
                assert it.fake.open_connections == 0

            nursery.start_soon(cancel)
            async with it.live.stream(ONE, source(), decode, opening=(STARTED,)) as stream:
                assert trio.current_time() == 1
                assert await all_of(stream) == [Started(), CANCELED(tokens_out=0, decode_time_ms=0)]

    async def test_a_refusal_that_comes_with_the_cancel_is_not_heard(self) -> None:
        async with bench(answering()) as it:

            @asynccontextmanager
            async def source() -> AsyncIterator[EventStream]:
                it.live._live[ONE].seal()
                raise WorkerReset("gone")
                yield

            with trio.fail_after(5):
                async with it.live.stream(ONE, source(), decode) as stream:
                    assert await all_of(stream) == [Started(), CANCELED(tokens_out=0, decode_time_ms=0)]

    async def test_it_does_not_wait_long_for_what_is_slow_to_close(self, autojump_clock: MockClock) -> None:
        async with bench(answering()) as it:

            @asynccontextmanager
            async def source() -> AsyncIterator[EventStream]:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5)
                async with it.source() as events:
                    yield events

            async def cancel() -> None:
                await trio.sleep(1)
                await it.live.cancel(ONE)
                assert trio.current_time() == 2

            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel)
                async with it.live.stream(ONE, source(), decode) as stream:
                    assert trio.current_time() == 5
                    assert await all_of(stream) == [Started(), CANCELED(tokens_out=0, decode_time_ms=0)]

    async def test_a_cancelled_cancel_has_sealed(self) -> None:
        async with bench(answering([HEAD + events("a")])) as it, it.stream() as stream:
            with trio.CancelScope() as scope:
                scope.cancel()
                await it.live.cancel(ONE)
            assert it.fake.open_connections == 0
            assert await all_of(stream) == [STARTED, CANCELED(tokens_out=0, decode_time_ms=0)]


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
