"""A call over a connection: deadlines, cancels and failures, in virtual time."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from adapter_api import (
    AdapterContext,
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    PoolId,
    PoolUnavailable,
    ReplicaId,
    WorkerError,
    WorkerReset,
)
from adapters.triton.grpc_call import Call, CallHead
from adapters.triton.grpc_frames import MessageDecoder
from adapters.triton.grpc_stream import CallBody, OpenCalls, open_call
from conformance.engines.pipe import PipeEnd, open_pipe
from http_util.dialling import Endpoint, tls_context
from http_util.status import EngineReply, classify
from http_util.stream import EventStream, StreamBounds, open_body
from tests.adapters.triton.peer import OK_HEAD, Http2Peer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.req("OC-ADAPT-5060", "HTU-1005")

PEM = str(Path(__file__).parents[2] / "support" / "tls" / "localhost.pem")
BOUNDS = StreamBounds(first_token_s=10, idle_s=3)


class Server:
    """The server's end of the one connection that is made."""

    def __init__(self, stream: PipeEnd) -> None:
        self.stream = stream
        self.http2 = Http2Peer()

    async def read_request(self) -> None:
        while not self.http2.has_whole_request:
            self.http2.take(await self.stream.receive_some())
            await self.flush()

    async def flush(self) -> None:
        await self.send(self.http2.wire())

    async def send(self, data: bytes) -> None:
        with suppress(trio.BrokenResourceError):  # the client left
            await self.stream.send_all(data)

    async def say(self, *messages: bytes) -> None:
        for message in messages:
            self.http2.message(message)
        await self.flush()

    async def wait_client_gone(self) -> float:
        """Wait until the client has closed; return when."""
        try:
            while await self.stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return trio.current_time()


def failure(reply: EngineReply) -> WorkerError:
    return classify(reply, redact=str, now=0)


@asynccontextmanager
async def called(
    serve: Callable[[Server], Awaitable[None]], message: bytes = b"request", bounds: StreamBounds = BOUNDS
) -> AsyncIterator[EventStream]:
    """Open a call to a server that does what `serve` says."""
    async with trio.open_nursery() as nursery:

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            ours, theirs = open_pipe()
            nursery.start_soon(serve, Server(theirs))
            return ours

        context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5, dial=dial)
        head = CallHead(authority="engine:8001", path="/x/Y")
        call = open_call(
            Endpoint("engine", 8001),
            context,
            head,
            message,
            connect_s=2,
            phase="completion",
            failure=failure,
            calls=OpenCalls(),
        )
        async with open_body(call, MessageDecoder("completion"), bounds=bounds) as events:
            yield events
        nursery.cancel_scope.cancel()


async def everything(events: EventStream) -> list[bytes]:
    found = []
    while batch := await events.receive():
        found += [event.data for event in batch]
    return found


async def test_messages_then_the_end(autojump_clock: MockClock) -> None:
    async def serve(server: Server) -> None:
        await server.read_request()
        server.http2.head()
        for n in range(3):
            await trio.sleep(1)
            await server.say(b"message %d" % n)
        server.http2.end()
        await server.flush()

    async with called(serve) as events:
        assert await everything(events) == [b"message 0", b"message 1", b"message 2"]
        assert await events.receive() == []


async def test_a_request_larger_than_every_window(autojump_clock: MockClock) -> None:
    async def serve(server: Server) -> None:
        await server.read_request()
        server.http2.head()
        await server.say(str(len(server.http2.request)).encode())
        server.http2.end()
        await server.flush()

    async with called(serve, message=bytes(1_000_000)) as events:
        assert await everything(events) == [b"1000005"]


@pytest.mark.req("ADAPT-3005", "OC-ADAPT-5060h")
async def test_a_close_wakes_the_reader_and_the_server_sees_it(autojump_clock: MockClock) -> None:
    gone: list[float] = []

    async def serve(server: Server) -> None:
        await server.read_request()
        server.http2.head()
        await server.say(b"one")
        gone.append(await server.wait_client_gone())

    async with called(serve) as events:
        assert [event.data for event in await events.receive()] == [b"one"]
        async with trio.open_nursery() as nursery:

            async def reader() -> None:
                with pytest.raises(WorkerError):
                    await events.receive()

            nursery.start_soon(reader)
            await wait_all_tasks_blocked()
            events.close_nowait()
            await events.aclose()
        await wait_all_tasks_blocked()
        assert gone == [trio.current_time()]


@pytest.mark.req("ADAPT-3005", "OC-ADAPT-5060h")
async def test_a_close_needs_no_wait_where_the_stream_needs_none() -> None:
    ours, theirs = memory_stream_pair()
    body = CallBody(ours, Call(CallHead(authority="engine:8001", path="/x/Y"), b""), "completion", failure)
    body.close_nowait()
    assert await theirs.receive_some() == b""


async def test_an_answer_larger_than_every_window(autojump_clock: MockClock) -> None:
    async def serve(server: Server) -> None:
        await server.read_request()
        server.http2.head()
        for _ in range(40):
            while server.http2.h2.local_flow_control_window(1) < 10_005:
                await server.flush()
                server.http2.take(await server.stream.receive_some())
            await server.say(bytes(10_000))
        server.http2.end()
        await server.flush()

    async with called(serve) as events:
        assert await everything(events) == [bytes(10_000)] * 40


@pytest.mark.req("ADAPT-3005")
async def test_a_cancelled_opening_leaves_no_connection(autojump_clock: MockClock) -> None:
    gone: list[float] = []

    async def serve(server: Server) -> None:
        await server.read_request()
        gone.append(await server.wait_client_gone())

    with trio.move_on_after(1) as scope:
        async with called(serve):
            raise AssertionError("opened")
    assert scope.cancelled_caught


async def no_answer(server: Server) -> None:
    await server.read_request()
    await trio.sleep_forever()


async def head_alone(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.flush()
    await trio.sleep_forever()


async def one_then_silence(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.say(b"one")
    await trio.sleep_forever()


async def one_then_pings(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.say(b"one")
    while True:
        await trio.sleep(1)
        server.http2.h2.ping(b"12345678")
        await server.flush()


async def one_then_cut(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.say(b"one")
    await server.stream.aclose()


async def one_then_reset(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.say(b"one")
    await trio.sleep(1)
    server.stream.reset()


async def never_reads(_server: Server) -> None:
    await trio.sleep_forever()


async def hangs_up(server: Server) -> None:
    await server.stream.aclose()


async def speaks_http1(server: Server) -> None:
    await server.stream.receive_some()
    await server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 5_000_000)


async def refuses(server: Server) -> None:
    await server.read_request()
    server.http2.head([*OK_HEAD, ("grpc-status", "14"), ("grpc-message", "Server exiting")], end=True)
    await server.flush()


async def fails_late(server: Server) -> None:
    await server.read_request()
    server.http2.head()
    await server.say(b"one")
    server.http2.end([("grpc-status", "13"), ("grpc-message", "boom")])
    await server.flush()


@pytest.mark.req("ADAPT-3002", "HTU-1006")
@pytest.mark.parametrize(
    ("serve", "kind", "words", "at"),
    [
        (no_answer, DeadlineUnmet, "no answer within 10 s", 10),
        (head_alone, DecodeTimeout, "no first token within 10 s", 10),
        (one_then_silence, DecodeTimeout, "silent for 3 s", 3),
        (one_then_pings, DecodeTimeout, "silent for 3 s", 3),
        (one_then_cut, WorkerReset, "closed the connection before its answer was whole", 0),
        (one_then_reset, WorkerReset, "the connection broke", 1),
        (never_reads, DeadlineUnmet, "no answer within 10 s", 10),
        (hangs_up, WorkerReset, "closed the connection before its answer was whole", 0),
        (speaks_http1, AdapterError, "the answer is not HTTP/2", 0),
        (refuses, PoolUnavailable, "gRPC UNAVAILABLE: Server exiting", 0),
        (fails_late, WorkerReset, "gRPC INTERNAL: boom", 0),
    ],
)
async def test_what_goes_wrong_on_the_way(
    autojump_clock: MockClock,
    serve: Callable[[Server], Awaitable[None]],
    kind: type[WorkerError],
    words: str,
    at: float,
) -> None:
    began = trio.current_time()
    with pytest.RaisesGroup(pytest.RaisesExc(kind, match=words), flatten_subgroups=True):
        async with called(serve, message=bytes(200_000)) as events:
            await everything(events)
    assert trio.current_time() - began == pytest.approx(at)


async def test_a_deadline_for_the_whole(autojump_clock: MockClock) -> None:
    bounds = partial(StreamBounds, first_token_s=10, idle_s=5)

    async def serve(server: Server) -> None:
        await server.read_request()
        server.http2.head()
        while True:
            await server.say(b"on")
            await trio.sleep(1)

    with pytest.RaisesGroup(pytest.RaisesExc(DeadlineUnmet, match="not finished within 4.5 s"), flatten_subgroups=True):
        async with called(serve, bounds=bounds(total_s=4.5)) as events:
            await everything(events)


@pytest.mark.req("HTU-1001")
async def test_a_call_over_tls() -> None:
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(PEM)
    server_tls.set_alpn_protocols(["h2"])
    schemes: list[str] = []

    async def serve(socket: trio.SocketStream) -> None:
        stream, peer = trio.SSLStream(socket, server_tls, server_side=True), Http2Peer()
        while not peer.has_whole_request:
            peer.take(bytes(await stream.receive_some()))
        schemes.append(peer.headers[":scheme"])
        peer.head()
        peer.message(b"over TLS")
        peer.end()
        await stream.send_all(peer.wire())

    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        endpoint = Endpoint("localhost", listeners[0].socket.getsockname()[1], tls_context(PEM, "h2"))
        head = CallHead(authority="localhost", path="/x/Y", is_tls=True)
        call = open_call(
            endpoint, context, head, b"", connect_s=2, phase="completion", failure=failure, calls=OpenCalls()
        )
        async with open_body(call, MessageDecoder("completion"), bounds=BOUNDS) as events:
            assert await everything(events) == [b"over TLS"]
        nursery.cancel_scope.cancel()
    assert schemes == ["https"]
