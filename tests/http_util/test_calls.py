"""Short calls: bounded, and tried again only where that is safe."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import AdapterError, DeadlineUnmet, PoolUnavailable, WorkerError, WorkerReset
from http_util.backoff import RetryPolicy
from http_util.calls import Reply, fetch
from http_util.client import ClientSettings, open_client
from tests.support.http_wire import BASE, Engine, Peer, answering, chunk, engine, plain_classify, response, stream_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx
    from trio.testing import MockClock

OK = response(b"ok")
BUSY = response(b"busy", status=503)
ask = partial(fetch, bounds_s=10.0, random=lambda: 0.5, classify=plain_classify, phase="health")


@asynccontextmanager
async def client_of(
    serve: Callable[[Peer], Awaitable[None]], *, request_s: float = 30.0
) -> AsyncIterator[tuple[httpx.AsyncClient, Engine]]:
    async with engine(serve) as fake:
        settings = ClientSettings(base_url=BASE, dial=fake.dial, request_s=request_s)
        async with open_client(settings) as client:
            yield client, fake


@pytest.mark.req("HTU-1001")
class TestOneTry:
    async def test_the_answer(self) -> None:
        async with client_of(answering([response(b"{}", status=201, x_version="b1")])) as (client, fake):
            reply = await ask(client, "POST", "/x?y=1", json={"a": [1]}, headers={"x-id": "7"})

            assert (reply.status, reply.body, reply.headers["x-version"]) == (201, b"{}", "b1")
            assert (fake.seen[0].target, fake.seen[0].body) == ("/x?y=1", b'{"a":[1]}')
            assert fake.seen[0].headers["content-type"] == "application/json"
            assert fake.seen[0].headers["x-id"] == "7"

    async def test_any_other_status_is_classified(self) -> None:
        async with client_of(answering([BUSY], [response(b"", status=302)])) as (client, fake):
            with pytest.raises(PoolUnavailable, match="health: HTTP 503: busy"):
                await ask(client, "GET", "/")
            with pytest.raises(AdapterError, match="HTTP 302"):
                await ask(client, "GET", "/")
            assert len(fake.client_ends) == 1

    async def test_the_bound_on_time_is_the_calls_own(self, autojump_clock: MockClock) -> None:
        async with client_of(answering([stream_head()]), request_s=2) as (client, fake):
            with pytest.raises(DeadlineUnmet, match=r"^health: no answer within 10 s$") as caught:
                await ask(client, "GET", "/")
            assert trio.current_time() == pytest.approx(10, abs=0.01)
            assert caught.value.retriable
            assert fake.open_connections == 0

    async def test_the_bound_on_the_body(self) -> None:
        async with client_of(answering([response(b"x" * 100)], [response(b"x" * 101)])) as (client, _):
            assert len((await ask(client, "GET", "/", max_body_bytes=100)).body) == 100
            with pytest.raises(AdapterError, match="longer than 100 bytes"):
                await ask(client, "GET", "/", max_body_bytes=100)

    async def test_an_endless_refusal_is_read_in_part(self) -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.send(stream_head("text/plain").replace(b"200", b"400"))
            while True:
                await peer.send(chunk(b"x" * 10_000))

        async with client_of(serve) as (client, fake):
            with pytest.raises(AdapterError, match="HTTP 400: xxx") as caught:
                await ask(client, "GET", "/")
            assert len(caught.value.message) < 400
            assert fake.open_connections == 0

    async def test_compressed_bodies_are_refused(self) -> None:
        async with client_of(answering([response(b"x", content_encoding="gzip")])) as (client, fake):
            with pytest.raises(AdapterError, match="compressed"):
                await ask(client, "GET", "/")
            assert fake.seen[0].headers["accept-encoding"] == "identity"

    async def test_a_cut_answer_is_a_reset(self) -> None:
        async def serve(peer: Peer) -> None:
            await peer.request()
            await peer.send(OK[:-1])

        async with client_of(serve) as (client, _):
            with pytest.raises(WorkerReset):
                await ask(client, "GET", "/")


@pytest.mark.req("HTU-1002")
class TestRetries:
    async def test_until_it_works(self, autojump_clock: MockClock) -> None:
        async with client_of(answering([BUSY], [BUSY], [BUSY], [OK])) as (client, fake):
            reply = await ask(client, "GET", "/", retry=RetryPolicy())

            assert reply == Reply(200, reply.headers, b"ok")
            assert len(fake.seen) == 4
            assert trio.current_time() == pytest.approx(0.5 * (0.1 + 0.2 + 0.4))

    async def test_four_times_at_most(self, autojump_clock: MockClock) -> None:
        async with client_of(answering(*[[BUSY]] * 9)) as (client, fake):
            with pytest.raises(PoolUnavailable):
                await ask(client, "GET", "/", retry=RetryPolicy())
            assert len(fake.seen) == 4

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    async def test_only_for_requests_that_change_nothing(self, method: str) -> None:
        async with client_of(answering([BUSY], [OK])) as (client, fake):
            with pytest.raises(PoolUnavailable):
                await ask(client, method, "/", json={}, retry=RetryPolicy())
            assert len(fake.seen) == 1

    async def test_only_for_errors_that_may_pass(self) -> None:
        async with client_of(answering([response(b"no", status=404)], [OK])) as (client, fake):
            with pytest.raises(AdapterError):
                await ask(client, "GET", "/", retry=RetryPolicy())
            assert len(fake.seen) == 1

    async def test_not_without_a_policy(self) -> None:
        async with client_of(answering([BUSY], [OK])) as (client, fake):
            with pytest.raises(PoolUnavailable):
                await ask(client, "GET", "/")
            assert len(fake.seen) == 1

    async def test_the_engines_advice_is_taken_up_to_the_cap(self, autojump_clock: MockClock) -> None:
        answers = [[response(b"", status=429, retry_after=advice)] for advice in ("1", "60")]
        async with client_of(answering(*answers, [OK])) as (client, _):
            await ask(client, "GET", "/", retry=RetryPolicy())

            assert trio.current_time() == 1 + 2

    @pytest.mark.req("HTU-1002c")
    async def test_no_pause_that_the_bound_does_not_leave_room_for(self, autojump_clock: MockClock) -> None:
        async with client_of(answering([response(b"", status=429, retry_after="2")], [OK])) as (client, _):
            with pytest.raises(PoolUnavailable):
                await ask(client, "GET", "/", retry=RetryPolicy(), bounds_s=2.0)
            assert trio.current_time() == 0

    @pytest.mark.req("HTU-1002c")
    async def test_the_last_error_is_told_when_time_runs_out_in_a_later_try(self, autojump_clock: MockClock) -> None:
        async with client_of(answering([BUSY])) as (client, _):
            with pytest.raises(PoolUnavailable):
                await ask(client, "GET", "/", retry=RetryPolicy())
            assert trio.current_time() == 10

    async def test_nobody_there(self, autojump_clock: MockClock) -> None:
        dials = 0

        async def dial(_host: str, _port: int) -> trio.abc.Stream:
            nonlocal dials
            dials += 1
            await trio.lowlevel.checkpoint()
            raise ConnectionRefusedError(111, "refused")

        async with open_client(ClientSettings(base_url=BASE, dial=dial)) as client:
            with pytest.raises(WorkerError, match="Connection refused"):
                await ask(client, "HEAD", "/", retry=RetryPolicy())
        assert dials == 4
