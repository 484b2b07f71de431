"""One connection, whatever bytes come over it: it answers, it ends, and it takes nobody else with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h11
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from orchestratord.web.connection import KEEP_ALIVE_S, LINGER_S
from orchestratord.web.turned_away import AT_ONCE
from tests.support.service import configuration, open_service, task

if TYPE_CHECKING:
    from tests.support.service import Service

UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\n"
WEBSOCKET = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def exchange(service: Service, sent: bytes, *, patience_s: float = 30) -> bytes:
    """Send bytes and return what comes back until the server closes, or for a while."""
    got = b""
    async with service.connect() as client:
        await client.stream.send_all(sent)
        with trio.move_on_after(patience_s):
            while data := await client.receive():
                got += data
    return got


@pytest.mark.req("SSE-1002", "OC-CTRL-2004a")
@pytest.mark.parametrize(
    "wish", [UPGRADE + WEBSOCKET, UPGRADE + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"]
)
async def test_a_wish_to_upgrade_is_ignored(wish: bytes, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        got = await exchange(service, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + wish + b"\r\n")
        assert got.startswith(b"HTTP/1.1 200")
        assert b'{"live":true}' in got


@pytest.mark.req("OC-CTRL-2030b", "OC-CTRL-2052")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (PREFACE, 404),
        (b"GET http://[evil/nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ],
)
async def test_what_is_no_request_of_ours_gets_an_envelope(sent: bytes, status: int, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        got = (await exchange(service, sent)).lower()
        assert got.startswith(b"http/1.1 %d" % status)
        assert b"x-correlation-id: " in got
        assert b'"code":"' in got
        assert (await service.call("GET", "/livez")).status == 200


@pytest.mark.req("OC-CTRL-2004a")
async def test_a_request_in_absolute_form_is_served(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        got = await exchange(service, b"GET http://somewhere/livez?x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200")


async def test_requests_sent_at_once_are_answered_in_turn(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        one = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
        got = await exchange(service, one + one + b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert [got.count(b"HTTP/1.1 200"), got.count(b"HTTP/1.1 404")] == [2, 1]


@pytest.mark.parametrize("requests", [0, 1, 3])
async def test_an_idle_connection_is_kept_for_a_while(requests: int, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        async with service.connect() as client:
            for _ in range(requests):
                await trio.sleep(KEEP_ALIVE_S - 1)
                assert (await client.call("GET", "/livez")).status == 200
            idle_since = trio.current_time()
            assert await client.receive() == b""
            assert trio.current_time() - idle_since == pytest.approx(KEEP_ALIVE_S)
        assert service.connections == 0


async def test_a_connection_with_a_request_under_way_is_not_idle(autojump_clock: MockClock) -> None:
    script = [{"do": "started"}, {"do": "pause", "ms": 1000 * 4 * KEEP_ALIVE_S}, {"do": "end"}]
    config = configuration({"script": script, "first_token_ms": 1_000_000, "idle_ms": 1_000_000})
    async with open_service(config) as service:
        events = await service.read(await service.admit(deadline_ms=10_000_000))
        assert events.kinds == ["started", "end"]


async def test_what_breaks_one_connection_is_told_and_does_not_end_the_service(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_service() as service:
        with monkeypatch.context() as patch:
            patch.setattr("orchestratord.web.http1._origin_form", lambda _: 1 / 0)
            assert await exchange(service, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n") == b""
        assert "ZeroDivisionError" in str(service.logged("internal")[0]["human"])
        assert (await service.call("GET", "/livez")).status == 200


async def test_what_breaks_a_stream_on_its_way_out_is_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head has left by then, so that the application's error handler is not asked."""
    async with open_service() as service:
        task_id = await service.admit()
        with monkeypatch.context() as patch:
            patch.setattr("orchestratord.web.stream._or_stop", lambda _: 1 / 0)
            with pytest.raises(h11.RemoteProtocolError):
                await service.call("GET", f"/v1/tasks/{task_id}/stream")
        assert ["ZeroDivisionError" in str(each["human"]) for each in service.logged("internal")] == [True]
        assert (await service.call("GET", "/livez")).status == 200


@pytest.mark.req("OC-CTRL-2010d")
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_beyond_the_limit_is_refused_unread(is_chunked: bool, autojump_clock: MockClock) -> None:
    """The client goes on sending long after it was answered: more than every buffer between us holds."""
    config = configuration(server={"bind": "127.0.0.1:0", "body_max_bytes": 10_000})
    async with open_service(config) as service:
        client = service.connect()
        length = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", "50000000")
        await client.send_head("POST", "/v1/tasks", headers=[length])
        sent = 0
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                nonlocal sent
                piece = b"x" * 100_000
                framed = b"186a0\r\n" + piece + b"\r\n" if is_chunked else piece
                try:
                    for _ in range(500):
                        await client.stream.send_all(framed)
                        sent += len(piece)
                except trio.BrokenResourceError:
                    pass

            nursery.start_soon(send)
            reply = await client.reply()
        assert (reply.status, reply.code) == (413, "INVALID_PARAMS")
        assert "10000 bytes" in reply.message
        assert sent < 10_000_000
        await client.close()
        await trio.sleep(1)
        assert service.connections == 0


@pytest.mark.req("OC-CTRL-2010d")
async def test_a_client_that_still_sends_is_heard_out_for_a_moment_and_no_longer(autojump_clock: MockClock) -> None:
    """A close while bytes arrive is a reset, and a reset can destroy the answer on its way."""
    async with open_service() as service:
        client = service.connect()
        await client.send_head("POST", "/v1/tasks", headers=[("Content-Length", "5000000")])
        assert (await client.reply()).status == 413
        began = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            for _ in range(100):
                await client.stream.send_all(b"x" * 1000)
                await trio.sleep(0.1)
        assert trio.current_time() - began == pytest.approx(LINGER_S, abs=0.2)
        await client.close()
        await trio.sleep(0.1)
        assert service.connections == 0


async def test_a_client_that_stops_sending_its_body_and_reading_holds_nothing(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        client = service.connect(capacity=10)
        with trio.move_on_after(1):
            await client.send("POST", "/v1/tasks", body=b"{}")
        await trio.sleep(100)
        assert service.connections == 0
        await client.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    pieces=st.lists(
        st.sampled_from([
            b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
            b"POST /v1/tasks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
            b"GET /v1/tasks/x/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
            b"0\r\n\r\n", b"5\r\nhello\r\n", b"{}\n", b"\r\n", b"\xff", PREFACE, b"Upgrade: websocket\r\n",
        ]) | st.binary(max_size=40),
        max_size=8,
    )
)  # fmt: skip
def test_no_bytes_end_the_service(pieces: list[bytes]) -> None:
    async def main() -> None:
        async with open_service() as service:
            async with service.connect() as client:
                with trio.move_on_after(300):
                    for piece in pieces:
                        await client.stream.send_all(piece)
                        await trio.sleep(0.01)
                    await client.stream.send_eof()
                    while await client.receive():
                        pass
            await trio.sleep(1)
            assert service.connections == 0
            assert (await service.call("POST", "/v1/tasks", body=task())).status == 202
            assert not service.logged("internal")

    try:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the server had enough before we had said all


@pytest.mark.req("SSE-1004c", "OC-CTRL-2011", "OC-CTRL-2011a")
async def test_a_client_beyond_the_limit_is_turned_away_and_disturbs_nobody(autojump_clock: MockClock) -> None:
    config = configuration(server={"bind": "127.0.0.1:0", "max_connections": 2})
    async with open_service(config) as service:
        async with service.connect() as first, service.connect() as second:
            for client in (first, second):
                assert (await client.call("GET", "/livez")).status == 200
            got = await exchange(service, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _, body = got.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 429 ")
            for name in (
                b"Retry-After: 1",
                b"X-Backoff-Ms: 1000",
                b"X-Backoff-Policy: connections",
                b"X-Correlation-Id",
            ):
                assert name in head
            told = json.loads(body)
            assert (told["code"], told["retriable"], told["retry_after_ms"]) == ("ADMISSION_REJECT", True, 1000)
            assert (await first.call("GET", "/livez")).status == 200
            assert service.connections == 2
        assert (await service.call("GET", "/livez")).status == 200, "there is room again"


@pytest.mark.req("SSE-1004c")
async def test_of_a_flood_only_a_few_are_answered(autojump_clock: MockClock) -> None:
    config = configuration(server={"bind": "127.0.0.1:0", "max_connections": 1})
    async with open_service(config) as service, service.connect() as first:
        assert (await first.call("GET", "/livez")).status == 200
        flood = [service.connect() for _ in range(AT_ONCE + 10)]
        answers = [b"".join([await client.receive()]) for client in flood]
        assert [answers.count(b""), sum(b"ADMISSION_REJECT" in answer for answer in answers)] == [10, AT_ONCE]
        assert (await first.call("GET", "/livez")).status == 200
