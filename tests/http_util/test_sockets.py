"""Over real sockets: TCP and TLS on the loopback, HTTP/2 where a server chooses it."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import hypercorn.trio
import pytest
import trio
from hypercorn.config import Config

from adapter_api import PoolUnavailable, WorkerReset
from http_util.calls import fetch
from http_util.client import ClientSettings, open_client
from http_util.stream import EventStream, StreamBounds, open_events
from http_util.transport import Body, body_of
from tests.support.http_wire import (
    LAST_CHUNK,
    Peer,
    answering,
    chunk,
    event,
    plain_classify,
    response,
    stream_head,
    transport_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

pytestmark = pytest.mark.req("HTU-1001")

PEM = str(Path(__file__).parent.parent / "support" / "tls" / "localhost.pem")
OK = response(b"ok")
ask = partial(fetch, bounds_s=5, random=lambda: 0.0, classify=plain_classify, phase="health")
events_of = partial(open_events, json={}, bounds=StreamBounds(), classify=plain_classify)


@asynccontextmanager
async def listening(serve: Callable[[Peer], Awaitable[None]], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port of the loopback and yield the port."""

    async def handle(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # the client left
            await serve(Peer(stream if tls is None else trio.SSLStream(stream, tls, server_side=True), [], 1))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


async def data_of(events: EventStream) -> bytes:
    """Return what is left of a stream."""
    data = b""
    while batch := await events.receive():
        data += b"".join(event.data for event in batch)
    return data


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_calls_and_streams(scheme: str) -> None:
    serve = answering([OK], [stream_head(), event("1"), event("2"), LAST_CHUNK], [OK])
    async with (
        listening(serve, server_tls() if scheme == "https" else None) as port,
        open_client(ClientSettings(base_url=f"{scheme}://localhost:{port}/prefix", verify=PEM)) as client,
    ):
        assert (await ask(client, "GET", "/health")).body == b"ok"
        async with events_of(client, "/completion") as events:
            assert await data_of(events) == b"12"
        await ask(client, "GET", "/health")
        assert transport_of(client).pool.open_count == 1


async def close_soon(body: Body) -> None:
    await trio.testing.wait_all_tasks_blocked(0.01)
    body.close_nowait()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_leaving_a_stream_reaches_the_engine_and_wakes_the_reader(scheme: str) -> None:
    gone = trio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_head(), event("1"))
        try:
            await peer.wait_gone()
        finally:
            gone.set()

    async with (
        listening(serve, server_tls() if scheme == "https" else None) as port,
        open_client(ClientSettings(base_url=f"{scheme}://127.0.0.1:{port}", verify=PEM)) as client,
        client.stream("GET", "/") as answer,
        trio.open_nursery() as nursery,
    ):
        body = body_of(answer)
        assert b"1" in await body.receive()
        nursery.start_soon(close_soon, body)
        with pytest.raises(httpx.ReadError):
            await body.receive()
        with trio.fail_after(2):
            await gone.wait()
        assert transport_of(client).pool.open_count == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_connection_that_the_engine_closed_meanwhile_is_not_used(scheme: str) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)

    async with (
        listening(serve, server_tls() if scheme == "https" else None) as port,
        open_client(ClientSettings(base_url=f"{scheme}://127.0.0.1:{port}", verify=PEM)) as client,
    ):
        for _ in range(3):
            assert (await client.post("/", content=b"not to be sent twice")).text == "ok"
            await trio.testing.wait_all_tasks_blocked(0.05)


async def test_a_cut_stream_is_a_reset() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.send(stream_head(), event("1"), chunk(b"data: 2")[:-3])

    async with (
        listening(serve) as port,
        open_client(ClientSettings(base_url=f"http://127.0.0.1:{port}")) as client,
        events_of(client, "/completion") as events,
    ):
        with pytest.raises(WorkerReset):
            await data_of(events)


async def test_nobody_listens() -> None:
    async with open_client(ClientSettings(base_url="http://127.0.0.1:1")) as client:
        with pytest.raises(PoolUnavailable, match=r"^health: cannot connect \(Connection refused\)\n"):
            await ask(client, "GET", "/health")


@pytest.mark.req("HTU-1001c")
async def test_an_unknown_certificate_is_refused() -> None:
    async with listening(answering([OK]), server_tls()) as port:
        async with open_client(ClientSettings(base_url=f"https://127.0.0.1:{port}")) as client:
            with pytest.raises(PoolUnavailable, match="self-signed certificate"):
                await ask(client, "GET", "/health")
            assert transport_of(client).pool.open_count == 0
        async with open_client(ClientSettings(base_url=f"https://127.0.0.1:{port}", verify=False)) as client:
            assert (await ask(client, "GET", "/health")).body == b"ok"


async def test_an_engine_that_speaks_no_tls_cannot_be_connected_to() -> None:
    async def serve(peer: Peer) -> None:
        await peer.send(OK)

    async with listening(serve) as port, open_client(ClientSettings(base_url=f"https://127.0.0.1:{port}")) as client:
        with pytest.raises(PoolUnavailable, match="cannot connect"):
            await ask(client, "GET", "/health")


async def tell_version(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """An engine that says which HTTP it was asked with; its answer is one event."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/event-stream"), (b"x-version", scope["http_version"].encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": False})
        return
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.req("HTU-1001a")
async def test_calls_use_http2_where_offered_and_streams_never_do() -> None:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.certfile = config.keyfile = PEM
    config.errorlog = config.accesslog = None
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        serve = partial(hypercorn.trio.serve, tell_version, config, shutdown_trigger=stop.wait)
        (url,) = await nursery.start(serve)
        async with open_client(ClientSettings(base_url=url.replace("http://", "https://"), verify=PEM)) as client:
            for _ in range(2):
                assert (await ask(client, "GET", "/")).headers["x-version"] == "2"
                async with events_of(client, "/") as events:
                    assert events.headers["x-version"] == "1.1"
                    assert await data_of(events) == b"1"
        stop.set()
