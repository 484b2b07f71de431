"""The transport: which connection a request gets, and what becomes of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from http_util._connections import IDLE_S, MAX_IDLE, Connection, Pool
from http_util._sockets import Origin
from http_util.transport import TrioTransport, body_of
from tests.support.http_wire import (
    BASE,
    LAST_CHUNK,
    Engine,
    Peer,
    SyncStream,
    WatchedStream,
    answering,
    chunk,
    engine,
    response,
    stream_head,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.req("HTU-1001")

OK = response(b"ok")
ORIGIN = Origin("http", "engine", 80)


@asynccontextmanager
async def client_of(
    fake: Engine, *, max_connections: int = 10, timeout: httpx.Timeout | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, TrioTransport]]:
    transport = TrioTransport(dial=fake.dial, max_connections=max_connections)
    async with httpx.AsyncClient(base_url=BASE, transport=transport, timeout=timeout) as client:
        yield client, transport


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with engine(answering([OK], [OK], [OK])) as fake, client_of(fake) as (client, transport):
        for _ in range(3):
            assert (await client.get("/")).text == "ok"

        assert len(fake.client_ends) == 1
        assert (transport.pool.open_count, transport.pool.idle_count) == (1, 1)
    assert fake.open_connections == 0


@pytest.mark.parametrize(
    "answer",
    [
        [response(b"ok", close=True)],
        [b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"],
        [OK + b"HTTP/1.1 200 nobody asked\r\n"],
    ],
    ids=["close", "HTTP/1.0", "too much"],
)
async def test_a_connection_that_is_not_to_be_used_again_is_closed(answer: list[bytes]) -> None:
    async with engine(answering(answer)) as fake, client_of(fake) as (client, transport):
        assert (await client.get("/")).text == "ok"

        assert fake.open_connections == transport.pool.open_count == 0


async def test_a_body_without_a_length_lasts_until_the_connection_ends() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n", b"to the ", b"end")

    async with engine(serve) as fake, client_of(fake) as (client, transport):
        assert (await client.get("/")).text == "to the end"
        assert fake.open_connections == transport.pool.open_count == 0


@pytest.mark.req("HTU-1001d")
@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
async def test_an_unfinished_body_takes_its_connection_with_it(stream_type: type[WatchedStream]) -> None:
    async with engine(answering([stream_head(), chunk(b"one")])) as fake, client_of(fake) as (client, transport):
        fake.stream_type = stream_type
        async with client.stream("GET", "/") as answer:
            assert await body_of(answer).receive() == b"one"
            assert fake.open_connections == 1

        assert fake.open_connections == transport.pool.open_count == 0


async def test_a_finished_body_frees_its_connection_before_the_response_is_closed() -> None:
    serve = answering([stream_head(), chunk(b"one") + LAST_CHUNK], [OK])
    async with engine(serve) as fake, client_of(fake) as (client, _):
        async with client.stream("GET", "/") as answer:
            assert [piece async for piece in answer.aiter_raw()] == [b"one"]
            assert (await client.get("/")).text == "ok"

        assert len(fake.client_ends) == 1


async def test_two_requests_at_once_use_two_connections() -> None:
    async def serve(peer: Peer) -> None:
        while seen := await peer.request():
            await trio.sleep(1)
            await peer.send(response(seen.target.encode()))

    async with engine(serve) as fake, client_of(fake) as (client, transport), trio.open_nursery() as nursery:

        async def ask(path: str) -> None:
            assert (await client.get(path)).text == path

        nursery.start_soon(ask, "/a")
        nursery.start_soon(ask, "/b")
        await trio.testing.wait_all_tasks_blocked()
        assert transport.pool.open_count == 2


@pytest.mark.req("HTU-1005d")
@pytest.mark.parametrize(("method", "calls"), [("GET", 2), ("HEAD", 2), ("POST", 1)])
async def test_a_kept_connection_that_dies_unanswered_is_replaced_if_idempotent(method: str, calls: int) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number == 1:
            await peer.request()  # and hangs up
        else:
            await peer.wait_gone()

    async with engine(serve) as fake, client_of(fake) as (client, transport):
        await client.get("/")
        if calls == 2:
            assert (await client.request(method, "/")).status_code == 200
        else:
            with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
                await client.request(method, "/", content=b"work")
            assert transport.pool.open_count == 0
        assert [seen.method for seen in fake.seen] == ["GET"] + [method] * calls


async def test_a_post_that_a_dead_connection_did_not_take_is_sent_again() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        if peer.number > 1:
            await peer.wait_gone()

    async with engine(serve) as fake, client_of(fake) as (client, _):
        await client.get("/")
        await trio.testing.wait_all_tasks_blocked()

        assert (await client.post("/", content=b"work")).text == "ok"
        assert [seen.body for seen in fake.seen] == [b"", b"work"]
        assert len(fake.client_ends) == 2


async def test_a_fresh_connection_that_dies_unanswered_is_not_replaced() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()

    async with engine(serve) as fake, client_of(fake) as (client, transport):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        assert len(fake.client_ends) == 1
        assert fake.open_connections == transport.pool.open_count == 0


async def test_a_connection_that_dies_inside_the_head_is_not_replaced() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 200 ")

    async with engine(serve) as fake, client_of(fake) as (client, _):
        await client.get("/")
        with pytest.raises(httpx.RemoteProtocolError, match="inside the response"):
            await client.get("/")
        assert len(fake.client_ends) == 1


async def test_an_early_refusal_is_read_though_the_body_could_not_be_sent() -> None:
    async def serve(peer: Peer) -> None:
        await peer.send(response(b"too large", status=413, close=True))

    async with engine(serve) as fake:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            stream = await fake.dial(host, port)
            await trio.testing.wait_all_tasks_blocked()  # the peer has answered and gone
            return stream

        async with httpx.AsyncClient(transport=TrioTransport(dial=dial), base_url=BASE) as client:
            assert (await client.post("/", content=b"x" * 100)).status_code == 413


async def test_an_idle_connection_is_given_up_after_a_while(autojump_clock: trio.testing.MockClock) -> None:
    async with engine(answering([OK], [OK])) as fake, client_of(fake) as (client, transport):
        await client.get("/")
        await trio.sleep(IDLE_S - 0.5)
        await client.get("/")
        assert len(fake.client_ends) == 1
        await trio.sleep(IDLE_S)
        await client.get("/")
        assert len(fake.client_ends) == 2
        assert transport.pool.open_count == fake.open_connections == 1


@pytest.mark.parametrize("stream_type", [SyncStream, WatchedStream])
async def test_idle_connections_are_bounded(stream_type: type[WatchedStream]) -> None:
    async def serve(peer: Peer) -> None:
        while await peer.request():
            await gate.wait()
            await peer.send(OK)

    gate = trio.Event()
    async with engine(serve) as fake, client_of(fake, max_connections=MAX_IDLE + 5) as (client, transport):
        fake.stream_type = stream_type
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_IDLE + 5):
                nursery.start_soon(client.get, "/")
            await trio.testing.wait_all_tasks_blocked()
            gate.set()
        assert transport.pool.idle_count == transport.pool.open_count == MAX_IDLE
        await client.get("/")
        assert fake.open_connections == MAX_IDLE


async def test_requests_wait_for_a_connection_and_then_give_up(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        engine(answering([stream_head(), chunk(b"one")], [OK])) as fake,
        client_of(fake, max_connections=1, timeout=httpx.Timeout(None, pool=2)) as (client, _),
    ):
        async with client.stream("GET", "/"):
            began = trio.current_time()
            with pytest.raises(httpx.PoolTimeout):
                await client.get("/")
            assert trio.current_time() - began == 2
        async with client.stream("GET", "/"):
            pass


async def test_connecting_and_reading_have_their_bounds(autojump_clock: trio.testing.MockClock) -> None:
    async with (
        engine(answering([stream_head()])) as fake,
        client_of(fake, timeout=httpx.Timeout(None, connect=2, read=3)) as (client, transport),
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")
        assert trio.current_time() == pytest.approx(3, abs=0.01)
        fake.dial_s = 5
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("/")
        assert trio.current_time() == pytest.approx(5, abs=0.01)
        assert transport.pool.open_count == fake.open_connections == 0


class Resetting(trio.abc.Stream):
    """A peer that says something and then resets the connection."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def wait_send_all_might_not_block(self) -> None: ...
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            raise trio.BrokenResourceError
        return self._pieces.pop(0)

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        ([stream_head(), chunk(b"one")], httpx.ReadError),
        ([b"HTTP/1.1 200 "], httpx.ReadError),
        ([], httpx.RemoteProtocolError),
    ],
)
async def test_a_reset_is_told_apart_from_no_answer(pieces: list[bytes], failure: type[Exception]) -> None:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return Resetting(*pieces)

    async with httpx.AsyncClient(transport=TrioTransport(dial=dial), base_url=BASE) as client:
        with pytest.raises(failure):
            await client.get("/")


@pytest.mark.parametrize("failure", [ConnectionRefusedError(111, "no"), trio.BrokenResourceError(), OSError("odd")])
async def test_every_failure_to_dial_is_a_connect_error(failure: Exception) -> None:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise failure

    async with httpx.AsyncClient(transport=TrioTransport(dial=dial), base_url=BASE) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_a_body_that_was_a_stream_is_sent_whole() -> None:
    class Pieces(httpx.AsyncByteStream):
        def __init__(self) -> None:
            self._left = [b"one", b"two"]

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            await trio.lowlevel.checkpoint()
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop(0)

    async with engine(answering([OK])) as fake, client_of(fake) as (client, _):
        await client.post("/", content=Pieces())

        assert fake.seen[0].body == b"onetwo"
        assert "transfer-encoding" not in fake.seen[0].headers


async def test_closing_the_client_closes_connections_in_use() -> None:
    async with engine(answering([stream_head(), chunk(b"one")])) as fake, trio.open_nursery() as nursery:
        async with client_of(fake) as (client, transport):
            woken = trio.Event()

            async def read() -> None:
                async with client.stream("GET", "/") as answer:
                    with pytest.raises(httpx.ReadError):
                        await answer.aread()
                woken.set()

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert fake.open_connections == 1
        await woken.wait()
        assert fake.open_connections == transport.pool.open_count == transport.pool.idle_count == 0


async def test_a_connection_of_a_closed_pool_does_not_come_back() -> None:
    serve = answering([stream_head(), chunk(b"one") + LAST_CHUNK])
    async with engine(serve) as fake, client_of(fake) as (client, transport):
        async with client.stream("GET", "/") as answer:
            await transport.aclose()
            with pytest.raises(httpx.ReadError):
                await answer.aread()
        assert transport.pool.open_count == transport.pool.idle_count == 0


async def test_a_connection_that_comes_back_too_late_is_closed() -> None:
    async with engine(answering([OK])) as fake:
        pool = Pool()
        connection = Connection(ORIGIN, await fake.dial("engine", 80))
        pool.add(connection)
        await pool.aclose()
        pool.give_back(connection, 0.0)
        assert (pool.open_count, pool.idle_count, fake.open_connections) == (0, 0, 0)


async def test_only_http_addresses() -> None:
    async with httpx.AsyncClient(transport=TrioTransport()) as client:
        for address in ("ftp://engine/", "https://engine/"):
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get(address)
