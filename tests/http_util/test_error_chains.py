"""What the network says in its exceptions is in no error that leaves: neither as its cause nor as its context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import AdapterContext, PoolId, ReplicaId, WorkerError
from http_util.calls import fetch
from http_util.client import ClientSettings, open_client
from http_util.dialling import Endpoint, connected
from http_util.stream import StreamBounds, open_events
from tests.support.http_wire import BASE, plain_classify

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "postgres://me:hunter22@db"


class BrokenStream(trio.abc.Stream):
    """Takes everything, gives a beginning, and breaks with a text that nobody may see."""

    def __init__(self, given: bytes) -> None:
        self.given = given

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.given:
            given, self.given = self.given, b""
            return given
        raise trio.BrokenResourceError(SECRET)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def refused(_host: str, _port: int) -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    raise ConnectionRefusedError(111, SECRET)


async def breaks_at_once(_host: str, _port: int) -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    return BrokenStream(b"")


async def breaks_in_the_body(_host: str, _port: int) -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    return BrokenStream(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\nda")


def everything(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{error!r} {getattr(error, '__notes__', [])}"
        assert error.__cause__ is None
        error = error.__context__


DIALS = [refused, breaks_at_once, breaks_in_the_body]


@pytest.mark.req("ADAPT-3014c")
@pytest.mark.parametrize("dial", DIALS)
async def test_of_a_short_call(dial: object) -> None:
    settings = ClientSettings(base_url=BASE, dial=dial)  # type: ignore[arg-type]  # one of the three
    async with open_client(settings) as client:
        with pytest.raises(WorkerError) as caught:
            await fetch(client, "POST", "/x", bounds_s=9, random=float, classify=plain_classify, phase="call")
    assert not any(SECRET in text for text in everything(caught.value))


@pytest.mark.req("ADAPT-3014c")
@pytest.mark.parametrize("dial", DIALS)
async def test_of_a_stream(dial: object) -> None:
    settings = ClientSettings(base_url=BASE, dial=dial)  # type: ignore[arg-type]  # one of the three
    async with open_client(settings) as client:
        with pytest.raises(WorkerError) as caught:
            async with open_events(client, "/x", json={}, bounds=StreamBounds(), classify=plain_classify) as events:
                await events.receive()
    assert not any(SECRET in text for text in everything(caught.value))


@pytest.mark.req("ADAPT-3014c")
async def test_of_a_connection_for_another_protocol() -> None:
    context = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=float, dial=refused)
    with pytest.raises(WorkerError) as caught:
        async with connected(Endpoint("engine", 8001), context, connect_s=2.0, phase="completion"):
            pass
    assert not any(SECRET in text for text in everything(caught.value))


async def test_what_kinds_they_were_is_kept_as_a_note() -> None:
    settings = ClientSettings(base_url=BASE, dial=refused)
    async with open_client(settings) as client:
        with pytest.raises(WorkerError) as caught:
            await fetch(client, "POST", "/x", bounds_s=9, random=float, classify=plain_classify, phase="call")
    assert caught.value.__notes__ == ["made of ConnectError from ConnectionRefusedError (ECONNREFUSED)"]
