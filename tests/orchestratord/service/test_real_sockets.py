"""The same service over TCP, where the operating system has buffers of its own."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import h11
import httpx
import pytest
import trio

from orchestratord import service as service_module
from tests.support.raw_http import RawClient
from tests.support.service import configuration, task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestratord.config import Config
    from orchestratord.service import Running

PACE = {"slots": 1, "tokens_per_second": 200}
FLOOD = [{"do": "started"}, *({"do": "token", "text": "x" * 30_000} for _ in range(400)), {"do": "stall"}]
PATIENCE_S = 30


class Silent:
    """A log that nobody reads."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


@asynccontextmanager
async def open_tcp(
    config: Config, returned: trio.Event | None = None
) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Running]) -> None:  # noqa: ASYNC128 - it is passed on
            await service_module.serve(config, log_stream=Silent(), task_status=task_status)  # type: ignore[arg-type]
            if returned is not None:
                returned.set()

        running = await nursery.start(run)
        async with httpx.AsyncClient(base_url=running.url, timeout=PATIENCE_S, trust_env=False) as client:
            with trio.fail_after(PATIENCE_S):
                (pool,) = running.dispatcher.pools.values()
                while not pool.is_ready:
                    await pool.wait_change()
                yield running, client
        nursery.cancel_scope.cancel()


@pytest.mark.req("OC-CTRL-2020", "OC-CTRL-2026")
async def test_a_task_over_tcp() -> None:
    async with open_tcp(configuration(PACE)) as (running, client):
        body = task()
        admitted = await client.post("/v1/tasks", json=body)
        assert admitted.status_code == 202
        async with client.stream("GET", f"/v1/tasks/{body['task_id']}/stream") as reply:
            assert reply.headers["content-type"] == "text/event-stream"
            lines = [line async for line in reply.aiter_lines() if line.startswith("event: ")]
        assert lines == ["event: started", *["event: token"] * 8, "event: end"]
        assert (await client.delete(f"/v1/tasks/{body['task_id']}")).status_code == 204
        running.stop()


@pytest.mark.req("OC-CTRL-2010d")
@pytest.mark.parametrize("length", [("Content-Length", "60000000"), ("Transfer-Encoding", "chunked")])
async def test_a_client_that_sends_all_before_it_reads_gets_the_refusal_of_its_body(length: tuple[str, str]) -> None:
    async with open_tcp(configuration(PACE)) as (running, _), RawClient(await connect(running)) as client:
        await client.send_head("POST", "/v1/tasks", headers=[length])
        with suppress(trio.BrokenResourceError):
            for _ in range(600):
                await client.send_event(h11.Data(data=b"x" * 100_000))
        reply = await client.reply()
        assert (reply.status, reply.code) == (413, "INVALID_PARAMS")


@pytest.mark.req("SSE-1002", "SSE-1002e")
async def test_a_cut_off_connection_is_reset_with_what_the_system_still_held() -> None:
    async with open_tcp(configuration({"slots": 1, "script": FLOOD})) as (running, client):
        task_id = str(uuid.uuid4())
        await client.post("/v1/tasks", json=task(task_id=task_id))
        async with RawClient(await connect(running)) as stuck:
            await stuck.send("GET", f"/v1/tasks/{task_id}/stream")
            await trio.sleep(0.5)
            began = trio.current_time()
            assert (await client.post(f"/v1/tasks/{task_id}/cancel")).status_code == 204
            assert trio.current_time() - began < 2
            with pytest.raises(trio.BrokenResourceError):
                while await stuck.receive():
                    pass


@pytest.mark.req("ORCH-3031b", "SSE-1004b")
async def test_a_client_that_does_not_read_does_not_hold_the_exit_back_over_tcp() -> None:
    server = {"bind": "127.0.0.1:0", "drain_deadline_ms": 300, "client_stall_timeout_ms": 60_000}
    config = configuration({"slots": 1, "script": FLOOD}, server=server)
    returned = trio.Event()
    async with open_tcp(config, returned) as (running, client):
        task_id = str(uuid.uuid4())
        await client.post("/v1/tasks", json=task(task_id=task_id))
        async with RawClient(await connect(running)) as stuck:
            await stuck.send("GET", f"/v1/tasks/{task_id}/stream")
            await trio.sleep(0.5)
            running.stop()
            with trio.fail_after(4):
                await returned.wait()


async def connect(running: Running) -> trio.SocketStream:
    address = httpx.URL(running.url)
    assert address.port is not None
    return await trio.open_tcp_stream(address.host, address.port)
