"""Live streams: a cancel is final the moment it is asked for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    End,
    Started,
    TaskId,
    Token,
    WorkerReset,
)
from http_util.calls import fetch
from tests.support.http_wire import (
    LAST_CHUNK,
    Peer,
    WatchedStream,
    answering,
    plain_classify,
    response,
)
from tests.support.live_bench import CANCELED, HEAD, ONE, STARTED, all_of, bench, decode, events, paced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

    from adapter_api import TokenEvent
    from http_util.stream import EventStream

pytestmark = pytest.mark.req("ADAPT-3005", "OC-CTRL-2012")


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

    @pytest.mark.req("ADAPT-3000g")
    async def test_it_wakes_who_reads_also_when_another_reader_was_turned_away(self, autojump_clock: MockClock) -> None:
        given: list[TokenEvent] = []

        async def read(stream: AsyncIterator[TokenEvent]) -> None:
            given.extend([event async for event in stream])

        async with bench(answering([HEAD + events("a")])) as it:
            it.fake.stream_type = HeldStream  # would let both wait, and closing it wakes nobody
            async with it.stream() as stream, trio.open_nursery() as nursery:
                nursery.start_soon(read, stream)
                await trio.sleep(1)
                with trio.move_on_after(1), pytest.raises(trio.BusyResourceError):
                    await anext(stream)
                await it.live.cancel(ONE)
            assert trio.current_time() == 1
        assert given == [STARTED, Token("a", 0), CANCELED(tokens_out=1, decode_time_ms=1000)]

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
