"""Event streams: each phase has its bound, exact to the tick, and its own error."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    InternalError,
    PoolUnavailable,
    WorkerError,
    WorkerReset,
)
from http_util.client import ClientSettings, open_client
from http_util.stream import EventStream, StreamBounds, open_events
from tests.support.http_wire import (
    BASE,
    LAST_CHUNK,
    Engine,
    Peer,
    answering,
    chunk,
    engine,
    event,
    plain_classify,
    response,
    stream_head,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trio.testing import MockClock

TICK = 2.0**-10
"""Sums of ticks are exact in floating point, so that "one tick early" means just that."""
BOUNDS = StreamBounds(connect_s=1, first_token_s=2, idle_s=1)


@asynccontextmanager
async def stream_of(
    serve: Callable[[Peer], Awaitable[None]], bounds: StreamBounds = BOUNDS, *, dial_s: float = 0.0
) -> AsyncIterator[tuple[EventStream, Engine]]:
    """Open a stream on an engine; time starts at 0 with the request."""
    async with engine(serve) as fake, open_client(ClientSettings(base_url=BASE, dial=fake.dial)) as client:
        fake.dial_s = dial_s
        async with open_events(client, "/x", json={}, bounds=bounds, classify=plain_classify) as events:
            yield events, fake


def at(*script: tuple[float, bytes]) -> Callable[[Peer], Awaitable[None]]:
    """Return an engine that sends each piece at its time, then stays silent."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        for time, piece in script:
            await trio.sleep_until(time)
            await peer.send(piece)
        await peer.wait_gone()

    return serve


async def data_of(events: EventStream) -> list[bytes]:
    data: list[bytes] = []
    while batch := await events.receive():
        data += [event.data for event in batch]
    return data


HEAD = stream_head()
END = event("end") + LAST_CHUNK


@pytest.mark.req("HTU-1005", "ADAPT-3002")
class TestBounds:
    """An event one tick before its deadline is in time, one at the deadline is late."""

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_headers(self, ticks: int, autojump_clock: MockClock) -> None:
        opening = stream_of(at((2 + ticks * TICK, HEAD + END)))
        if ticks < 0:
            async with opening as (events, _):
                assert await data_of(events) == [b"end"]
            return
        with pytest.raises(DeadlineUnmet, match=r"^completion: no answer within 2 s$") as caught:
            await opening.__aenter__()
        assert caught.value.retriable
        assert trio.current_time() == 2

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_first_token(self, ticks: int, autojump_clock: MockClock) -> None:
        async with stream_of(at((0.5, HEAD), (2 + ticks * TICK, END))) as (events, fake):
            if ticks < 0:
                assert await data_of(events) == [b"end"]
                return
            with pytest.raises(DecodeTimeout, match=r"^completion: no first token within 2 s$") as caught:
                await events.receive()
            assert caught.value.retriable
            assert trio.current_time() == 2
            assert fake.open_connections == 0

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_idle(self, ticks: int, autojump_clock: MockClock) -> None:
        script = at((0, HEAD), (1.5, event("a")), (2.25, event("b")), (3.25 + ticks * TICK, END))
        async with stream_of(script) as (events, fake):
            if ticks < 0:
                assert await data_of(events) == [b"a", b"b", b"end"]
                return
            with pytest.raises(DecodeTimeout, match=r"^completion: silent for 1 s$"):
                await data_of(events)
            assert trio.current_time() == 3.25
            assert fake.open_connections == 0

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_end_of_the_body(self, ticks: int, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("a")), (1 + ticks * TICK, LAST_CHUNK))) as (events, _):
            if ticks < 0:
                assert await data_of(events) == [b"a"]
                return
            with pytest.raises(DecodeTimeout):
                await data_of(events)

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_total(self, ticks: int, autojump_clock: MockClock) -> None:
        bounds = StreamBounds(first_token_s=2, idle_s=1, total_s=2.25)
        script = at((0, HEAD), (0.75, event("a")), (1.5, event("b")), (2.25 + ticks * TICK, END))
        async with stream_of(script, bounds) as (events, fake):
            if ticks < 0:
                assert await data_of(events) == [b"a", b"b", b"end"]
                return
            with pytest.raises(DeadlineUnmet, match=r"^completion: not finished within 2.25 s$") as caught:
                await data_of(events)
            assert not caught.value.retriable
            assert trio.current_time() == 2.25
            assert fake.open_connections == 0

    @pytest.mark.parametrize("ticks", [-1, 0, 1])
    async def test_connect(self, ticks: int, autojump_clock: MockClock) -> None:
        opening = stream_of(at((0, HEAD + END)), dial_s=1 + ticks * TICK)
        if ticks < 0:
            async with opening as (events, _):
                assert await data_of(events) == [b"end"]
            return
        with pytest.raises(PoolUnavailable, match=r"^completion: no connection in time\n"):
            await opening.__aenter__()
        assert trio.current_time() == 1

    async def test_the_total_is_named_where_it_meets_another_bound(self, autojump_clock: MockClock) -> None:
        for script in (at((5, HEAD)), at((0, HEAD)), at((0, HEAD + event("a")))):
            bounds = StreamBounds(first_token_s=1, idle_s=1, total_s=1)
            with pytest.raises(DeadlineUnmet, match="not finished within 1 s"):
                async with stream_of(script, bounds) as (events, _):
                    await data_of(events)

    @pytest.mark.req("HTU-1003d")
    async def test_comments_are_not_progress(self, autojump_clock: MockClock) -> None:
        pings = [(0.25 * n, chunk(b": ping\n\n")) for n in range(1, 40)]
        for script, late_at in ((at((0, HEAD), *pings), 2), (at((0, HEAD + event("a")), *pings), 1)):
            began = trio.current_time()
            with pytest.raises(DecodeTimeout):
                async with stream_of(script) as (events, _):
                    await data_of(events)
            assert trio.current_time() - began == late_at

    async def test_a_slow_consumer_spends_nothing_but_the_total(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("a")), (1, event("b") + LAST_CHUNK))) as (events, _):
            for data in (b"a", b"b"):
                await trio.sleep(100)
                assert [event.data for event in await events.receive()] == [data]
            await trio.sleep(100)
            assert await events.receive() == []

    async def test_the_total_runs_while_the_consumer_sleeps(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("a"))), StreamBounds(total_s=3)) as (events, _):
            await trio.sleep(3)
            with pytest.raises(DeadlineUnmet, match="not finished"):
                await events.receive()

    async def test_a_wait_that_was_cut_short_has_spent_its_time(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("a")))) as (events, _):
            await events.receive()
            with trio.move_on_after(0.75):
                await events.receive()
            await trio.sleep(10)
            with pytest.raises(DecodeTimeout):
                await events.receive()
            assert trio.current_time() == 11

    async def test_a_cut_wait_loses_nothing(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + chunk(b"data: ha")), (1, chunk(b"lf\n\n") + LAST_CHUNK))) as (events, _):
            with trio.move_on_after(0.5):
                await events.receive()
            assert await data_of(events) == [b"half"]


async def refused(*answer: bytes) -> WorkerError:
    """Return the error of a stream that is answered so."""
    with pytest.raises(WorkerError) as caught:
        async with stream_of(answering(answer)) as (events, _):
            await data_of(events)
    return caught.value


LOADING = b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'


@pytest.mark.req("HTU-1006", "ADAPT-3002")
class TestErrors:
    """Every other answer is a `WorkerError`, and its kind says what is wrong."""

    @pytest.mark.parametrize(
        ("answer", "kind", "words"),
        [
            ([response(LOADING, status=503)], PoolUnavailable, "HTTP 503: Loading model"),
            ([response(LOADING, status=503, content_type="text/event-stream")], PoolUnavailable, "Loading model"),
            ([response(b"data: " + LOADING, status=500, content_type="text/event-stream")], WorkerError, "Loading"),
            ([response(LOADING, content_type="application/json")], PoolUnavailable, "Loading model"),
            ([response(b'{"content":"x"}', content_type="application/json")], AdapterError, "not an event stream"),
            ([response(b"<html>", content_type="text/html")], AdapterError, "'text/html', not an event stream"),
            ([response(b"[" * 60_000, content_type="application/json")], AdapterError, "not an event stream"),
            ([response(b"", status=204)], AdapterError, "HTTP 204"),
            ([response(b"", status=301, location="/y")], AdapterError, "HTTP 301"),
            ([response(b"x", content_type="text/event-stream", content_encoding="gzip")], AdapterError, "compressed"),
            ([HEAD, b"nonsense"], AdapterError, "not HTTP/1.1"),
            ([b"SSH-2.0-OpenSSH\r\n\r\n"], AdapterError, "not HTTP/1.1"),
            ([HEAD, chunk(b"data: " + b"x" * 1_100_000)], AdapterError, "longer than 1048576 bytes"),
        ],
    )  # fmt: skip
    async def test_answers(self, answer: list[bytes], kind: type[WorkerError], words: str) -> None:
        error = await refused(*answer)

        assert isinstance(error, kind)
        assert words in error.message
        assert error.message.startswith("completion: ")

    async def test_a_refusal_that_does_not_end_is_cut(self, autojump_clock: MockClock) -> None:
        refusal = response(b"x" * 100, status=429)[:-50]

        assert isinstance(await refused(refusal), PoolUnavailable)
        assert trio.current_time() == 5

    @pytest.mark.parametrize("sent", [[], [HEAD], [HEAD, event("a")], [HEAD, event("a")[:-4]]])
    async def test_a_cut_is_a_reset(self, sent: list[bytes]) -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.send(*sent)

        with pytest.raises(WorkerReset, match=r"^completion: the engine closed the connection") as caught:
            async with stream_of(serve) as (events, _):
                await data_of(events)
        assert caught.value.retriable

    async def test_what_cannot_be_json_is_our_fault_and_is_not_quoted(self) -> None:
        async with open_client(ClientSettings(base_url=BASE)) as client:
            with pytest.raises(InternalError) as caught:
                async with open_events(
                    client, "/x", json={"prompt": "secret \ud800"}, bounds=BOUNDS, classify=plain_classify
                ):
                    pass
            assert caught.value.__context__ is None

    @pytest.mark.parametrize("headers", [{"x-id": "caf\u00e9 secret"}, {"x-id": "a\r\nsecret: b"}])
    async def test_a_header_that_cannot_be_written_is_not_quoted(self, headers: dict[str, str]) -> None:
        async with open_client(ClientSettings(base_url=BASE)) as client:
            with pytest.raises(WorkerError, match="cannot be written") as caught:
                async with open_events(client, "/x", json={}, headers=headers, bounds=BOUNDS, classify=plain_classify):
                    pass
            assert "secret" not in caught.value.message


class TestClosing:
    """What becomes of the connection."""

    async def test_the_request(self) -> None:
        async with engine(answering([HEAD + END])) as fake:
            settings = ClientSettings(base_url=BASE, dial=fake.dial, headers={"x-a": "1", "x-b": "1"})
            async with (
                open_client(settings) as client,
                open_events(client, "/x", json={"a": 1}, headers={"x-b": "2"}, bounds=BOUNDS, classify=plain_classify),
            ):
                (seen,) = fake.seen
            assert (seen.method, seen.target, seen.body) == ("POST", "/x", b'{"a":1}')
            assert seen.headers["content-type"] == "application/json"
            assert seen.headers["accept"] == "text/event-stream"
            assert seen.headers["accept-encoding"] == "identity"
            assert (seen.headers["x-a"], seen.headers["x-b"]) == ("1", "2")

    async def test_a_stream_read_to_its_end_leaves_its_connection_for_the_next(self) -> None:
        async with stream_of(answering([HEAD + END])) as (events, fake):
            assert await data_of(events) == [b"end"]
            assert await events.receive() == []
        assert len(fake.client_ends) == 1

    async def test_finish_reads_what_follows_the_end_marker(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("end")), (0.03, event("[DONE]") + LAST_CHUNK))) as (events, fake):
            await events.receive()
            await events.finish()
            events.close_nowait()
            assert fake.open_connections == 1

    async def test_finish_does_not_wait_long(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("end")))) as (events, fake):
            await events.receive()
            await events.finish()
            assert trio.current_time() < 0.1
            events.close_nowait()
            assert fake.open_connections == 0

    async def test_closing_wakes_the_reader_at_once(self, autojump_clock: MockClock) -> None:
        async with stream_of(at((0, HEAD + event("a")))) as (events, fake), trio.open_nursery() as nursery:

            async def close() -> None:
                await trio.sleep(0.5)
                events.close_nowait()
                assert fake.open_connections == 0

            nursery.start_soon(close)
            with pytest.raises(InternalError, match="closed on our side"):
                await data_of(events)
            assert trio.current_time() == 0.5
            with pytest.raises(InternalError, match="closed on our side"):
                await events.receive()
