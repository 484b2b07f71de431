"""The client builder: safe by default, and no credential in what it prints."""

from __future__ import annotations

import base64
import logging
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from http_util.client import ClientSettings, open_client
from http_util.transport import TrioTransport
from tests.support.http_wire import BASE, answering, engine, response

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.req("HTU-1001")

OK = response(b"ok")


async def test_a_password_in_the_address_becomes_a_header_and_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with engine(answering([OK])) as fake:
        settings = ClientSettings(base_url="http://user:canary@engine.test", dial=fake.dial)
        async with open_client(settings) as client:
            await client.get("/x")
            assert "canary" not in repr(client.base_url) + str(client.base_url) + repr(settings)
        assert fake.seen[0].headers["authorization"] == "Basic " + base64.b64encode(b"user:canary").decode()
        assert fake.seen[0].headers["host"] == "engine.test"
    assert "canary" not in caplog.text


@pytest.mark.req("HTU-1004")
def test_settings_do_not_print_what_may_be_secret() -> None:
    settings = ClientSettings(base_url=BASE, headers={"authorization": "canary"}, proxy="http://user:canary@proxy")

    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    "address", ["ftp://h", "engine:8080", "http://", "", "http://h/?key=canary", "http://h:canary"]
)
async def test_addresses_that_cannot_be(address: str) -> None:
    with pytest.raises(ValueError, match="http") as caught:
        await open_client(ClientSettings(base_url=address)).__aenter__()
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


async def test_nothing_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine engine.test login user password canary")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with engine(answering([OK])) as fake, open_client(ClientSettings(base_url=BASE, dial=fake.dial)) as client:
        assert (await client.get("/")).text == "ok"
        assert "authorization" not in fake.seen[0].headers


async def test_cookies_are_not_kept() -> None:
    answer = [response(b"ok", set_cookie="a=b")]
    async with engine(answering(answer, answer)) as fake:
        async with open_client(ClientSettings(base_url=BASE, dial=fake.dial)) as client:
            await client.get("/")
            await client.get("/")
        assert "cookie" not in fake.seen[1].headers


async def test_the_path_of_the_address_goes_before_every_path() -> None:
    async with engine(answering([OK])) as fake:
        async with open_client(ClientSettings(base_url=f"{BASE}/api/v9/", dial=fake.dial)) as client:
            await client.get("/health")
        assert fake.seen[0].target == "/api/v9/health"


async def test_the_usual_bounds() -> None:
    async with open_client(ClientSettings(base_url=BASE)) as client:
        assert client.timeout == httpx.Timeout(30, connect=5, pool=5)


async def test_a_named_proxy_is_used() -> None:
    seen: list[bytes] = []

    async def proxy(stream: trio.SocketStream) -> None:
        seen.append(bytes(await stream.receive_some()))
        await stream.send_all(OK)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, proxy, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        settings = ClientSettings(base_url="http://engine.invalid", proxy=f"http://user:pass@127.0.0.1:{port}")
        async with open_client(settings) as client:
            assert not isinstance(client._transport, TrioTransport)
            assert (await client.get("/x")).text == "ok"
        nursery.cancel_scope.cancel()
    assert seen[0].startswith(b"GET http://engine.invalid/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic" in seen[0]


async def test_a_pem_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        await open_client(ClientSettings(base_url="https://h", verify="/nowhere.pem")).__aenter__()
