"""Cut a call, a stream and a cancel at every step they take: no connection stays open, none is pooled wrongly."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import End, FrameOrder, Started, TaskId, Token
from http_util.calls import fetch
from http_util.client import ClientSettings, open_client
from http_util.live import LiveStreams
from http_util.stream import StreamBounds, open_events
from tests.support.http_wire import (
    BASE,
    LAST_CHUNK,
    Engine,
    Peer,
    SyncStream,
    WatchedStream,
    act_at_step,
    cancel_sweep,
    engine,
    event,
    plain_classify,
    response,
    stream_head,
    transport_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from adapter_api import TokenEvent
    from http_util.live import Progress
    from http_util.sse import ServerEvent

pytestmark = pytest.mark.req("ADAPT-3005", "OC-CTRL-2012")

SLOTS = 3
ask = partial(fetch, bounds_s=60, random=lambda: 0.0, classify=plain_classify, phase="health")
events_of = partial(open_events, bounds=StreamBounds(), classify=plain_classify)


async def echo(peer: Peer) -> None:
    """Answer every request with its own target, in pieces, so that mixed-up answers show."""
    while seen := await peer.request():
        name = seen.target
        if seen.method == "GET":
            answer = response(name.encode())
            await peer.send(answer[:20], answer[20:50], answer[50:])
        else:
            await peer.send(stream_head(), event(name), event(name), LAST_CHUNK)


class Check:
    """What has to hold after each cut."""

    def __init__(self, client: httpx.AsyncClient, fake: Engine) -> None:
        self._transport = transport_of(client)
        self._client = client
        self._fake = fake

    async def __call__(self, n: int) -> None:
        pool = self._transport.pool
        assert self._fake.open_connections == pool.open_count == pool.idle_count <= 1, n
        assert self._transport._slots.value == SLOTS, n
        assert (await ask(self._client, "GET", f"/after/{n}")).body == f"/after/{n}".encode()


@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
@pytest.mark.parametrize("kept", [True, False], ids=["kept connection", "fresh connection"])
async def test_a_call(stream_type: type[WatchedStream], kept: bool) -> None:
    async with engine(echo) as fake:
        fake.stream_type = stream_type
        settings = ClientSettings(base_url=BASE, dial=fake.dial, max_connections=SLOTS)
        async with open_client(settings) as client:

            async def work() -> None:
                if not kept:
                    await transport_of(client).pool.aclose()
                assert (await ask(client, "GET", "/call")).body == b"/call"

            assert await cancel_sweep(work, Check(client, fake)) > 5


@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
async def test_a_stream(stream_type: type[WatchedStream]) -> None:
    async with engine(echo) as fake:
        fake.stream_type = stream_type
        settings = ClientSettings(base_url=BASE, dial=fake.dial, max_connections=SLOTS)
        async with open_client(settings) as client:

            async def work() -> None:
                async with events_of(client, "/stream", json={}) as events:
                    while batch := await events.receive():
                        assert {item.data for item in batch} == {b"/stream"}

            assert await cancel_sweep(work, Check(client, fake)) > 5


def decode(event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
    assert event.data == b"/live"
    yield Token("t", so_far.tokens)
    if so_far.tokens == 2:
        yield End(tokens_out=2, decode_time_ms=so_far.decode_time_ms)


@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
async def test_a_live_stream_that_is_cut(stream_type: type[WatchedStream]) -> None:
    live = LiveStreams()
    async with engine(echo) as fake:
        fake.stream_type = stream_type
        settings = ClientSettings(base_url=BASE, dial=fake.dial, max_connections=SLOTS)
        async with open_client(settings) as client:
            check = Check(client, fake)

            async def work() -> None:
                source = events_of(client, "/live", json={})
                async with live.stream(TaskId("t"), source, decode, opening=(Started(),)) as events:
                    async for _ in events:
                        pass

            async def check_both(n: int) -> None:
                assert len(live) == 0
                await check(n)

            assert await cancel_sweep(work, check_both) > 5


@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
async def test_a_live_stream_that_is_cancelled_by_its_id(stream_type: type[WatchedStream]) -> None:
    """The cancel comes before every step in turn; what was given until then stands, and the order is kept."""
    live = LiveStreams()
    async with engine(echo) as fake, trio.open_nursery() as nursery:
        fake.stream_type = stream_type
        settings = ClientSettings(base_url=BASE, dial=fake.dial, max_connections=SLOTS)
        async with open_client(settings) as client:
            check = Check(client, fake)
            n, reached = 0, True
            while reached:
                n += 1
                given: list[TokenEvent] = []
                given_at_cancel: list[int] = []

                async def work(given: list[TokenEvent] = given) -> None:
                    source = events_of(client, "/live", json={})
                    async with live.stream(TaskId("t"), source, decode, opening=(Started(),)) as events:
                        async for out in events:
                            given.append(out)  # noqa: PERF401 - it is looked at while it grows

                def cancel(given: list[TokenEvent] = given, at: list[int] = given_at_cancel) -> None:
                    at.append(len(given))
                    stream = live._live.get(TaskId("t"))
                    if stream is not None:
                        stream.seal()
                        nursery.start_soon(live.cancel, TaskId("t"))

                reached = await act_at_step(n, cancel, work)
                await trio.testing.wait_all_tasks_blocked()
                assert_order(given, *given_at_cancel)
                assert len(live) == 0
                await check(n)
            assert n > 5


def assert_order(given: list[TokenEvent], at_cancel: int | None = None) -> None:
    """Assert a legal stream, and no token after a cancel."""
    order = FrameOrder()
    for out in given:
        order.accept(out)
    assert order.is_done
    end = given[-1]
    assert isinstance(end, End)
    assert end.tokens_out == order.tokens
    if at_cancel is not None and end.canceled:
        assert all(not isinstance(out, Token) for out in given[at_cancel:])
