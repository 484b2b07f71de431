"""Connections for other protocols than HTTP/1.1, under the rules of HTTP's."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from adapter_api import AdapterContext, AdapterError, DecodeTimeout, PoolId, PoolUnavailable, ReplicaId
from http_util.dialling import Endpoint, connected, tls_context
from http_util.sse import Decoder
from http_util.stream import StreamBounds, open_body

PEM = str(Path(__file__).parent.parent / "support" / "tls" / "localhost.pem")
connect = partial(connected, connect_s=2.0, phase="completion")


def context(**fields: object) -> AdapterContext:
    values = {"pool_id": PoolId("p"), "replica_id": ReplicaId("r"), "random": lambda: 0.5, **fields}
    return AdapterContext(**values)  # type: ignore[arg-type]  # tests name any field they like


@pytest.mark.req("ORCH-3080")
async def test_a_denied_host_is_not_dialled() -> None:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise AssertionError("dialled")

    denying = context(dial=dial, permits=lambda host, port: (host, port) != ("engine", 8001))
    with pytest.raises(AdapterError, match="completion: the egress policy does not allow this host"):
        async with connect(Endpoint("engine", 8001), denying):
            pass


@pytest.mark.req("HTU-1006")
async def test_a_refused_connection_is_an_unavailable_pool() -> None:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "at 10.0.0.7")

    with pytest.raises(PoolUnavailable, match=r"completion: cannot connect \(Connection refused\)"):
        async with connect(Endpoint("engine", 8001), context(dial=dial)):
            pass


@pytest.mark.req("HTU-1005")
async def test_a_dial_that_hangs_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(PoolUnavailable, match="no connection in time"):
        async with connect(Endpoint("engine", 8001), context(dial=dial)):
            pass
    assert trio.current_time() == pytest.approx(2.0)


async def test_leaving_closes_the_connection_even_while_cancelled() -> None:
    ours, theirs = memory_stream_pair()

    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return ours

    with trio.CancelScope() as scope:
        async with connect(Endpoint("engine", 8001), context(dial=dial)) as stream:
            assert stream is ours
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert await theirs.receive_some() == b""


@pytest.mark.req("HTU-1001")
async def test_tls_is_verified_and_offers_the_protocol() -> None:
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(PEM)
    server_tls.set_alpn_protocols(["h2"])

    async def serve(stream: trio.SocketStream) -> None:
        secured = trio.SSLStream(stream, server_tls, server_side=True)
        with suppress(trio.BrokenResourceError):
            await secured.do_handshake()
            await secured.send_all(str(secured.selected_alpn_protocol()).encode())

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(PoolUnavailable, match="cannot connect"):
            async with connect(Endpoint("localhost", port, tls_context(True, "h2")), context()):
                pass
        async with connect(Endpoint("localhost", port, tls_context(PEM, "h2")), context()) as stream:
            assert await stream.receive_some() == b"h2"
        nursery.cancel_scope.cancel()


@pytest.mark.req("HTU-1005a")
async def test_a_body_of_another_protocol_has_the_bounds_of_a_stream(autojump_clock: trio.testing.MockClock) -> None:
    class Silent:
        async def receive(self) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        def close_nowait(self) -> None:
            pass

        async def aclose(self) -> None:
            pass

    class Opening:
        async def __aenter__(self) -> Silent:
            await trio.sleep(3)
            return Silent()

        async def __aexit__(self, *_: object) -> None:
            pass

    bounds = StreamBounds(first_token_s=5)
    async with open_body(Opening(), Decoder(), bounds=bounds) as events:
        with pytest.raises(DecodeTimeout, match="no first token within 5 s"):
            await events.receive()
    assert trio.current_time() == pytest.approx(5.0)
