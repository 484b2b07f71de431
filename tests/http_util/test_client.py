"""The client builder: safe by default, and no credential in what it prints."""

from __future__ import annotations

import base64
import logging
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from http_util._failures import NotPermitted, worker_error
from http_util.client import ClientSettings, open_client
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


@pytest.mark.req("HTU-1001b")
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


@pytest.mark.req("ORCH-3080", "ORCH-3080a")
async def test_a_host_that_the_policy_denies_is_not_dialled(autojump_clock: trio.testing.MockClock) -> None:
    asked: list[tuple[str, int]] = []

    def permits(host: str, port: int) -> bool:
        asked.append((host, port))
        return len(asked) < 2

    async with (
        engine(answering([response(b"ok")])) as fake,
        open_client(ClientSettings(base_url=BASE, dial=fake.dial, permits=permits)) as client,
    ):
        assert (await client.get("/")).text == "ok"
        dialled = len(fake.client_ends)
        with pytest.raises(NotPermitted) as denied:
            await client.get("/")
    assert asked == [("engine.test", 8080)] * 2
    assert len(fake.client_ends) == dialled, "a kept connection is no way round the policy"
    error = worker_error(denied.value, "health")
    assert (error.kind, error.retriable) == ("Adapter", False)
    assert "egress policy" in error.message


@pytest.mark.req("ORCH-3080b")
@pytest.mark.parametrize("denied", ["engine.invalid", "127.0.0.1"])
async def test_the_policy_is_asked_for_the_proxy_and_for_the_engine(denied: str) -> None:
    def permits(host: str, _port: int) -> bool:
        return host != denied

    settings = ClientSettings(base_url="http://engine.invalid", proxy="http://127.0.0.1:9", permits=permits)
    async with open_client(settings) as client:
        with pytest.raises(NotPermitted, match=denied):
            await client.get("/x")


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
            assert (await client.get("/x")).text == "ok"
        nursery.cancel_scope.cancel()
    assert seen[0].startswith(b"GET http://engine.invalid/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic" in seen[0]


async def test_a_pem_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        await open_client(ClientSettings(base_url="https://h", verify="/nowhere.pem")).__aenter__()
