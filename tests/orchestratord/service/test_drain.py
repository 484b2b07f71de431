"""Stopping: no new work, what runs ends or is cancelled at the deadline, and nobody can hold the exit back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel

from orchestratord import service as service_module
from orchestratord.service import FLUSH_S
from tests.support.service import configuration, open_daemon, task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from trio.testing import MockClock

    from adapter_api import AdapterContext, WorkerAdapter

PACE = {"slots": 1, "tokens_per_second": 10}
STALLING = [{"do": "started"}, {"do": "token", "text": "one"}, {"do": "stall"}]
FLOOD = [{"do": "started"}, *({"do": "token", "text": "x" * 300} for _ in range(2000)), {"do": "stall"}]
SERVER = {"bind": "127.0.0.1:0", "drain_deadline_ms": 5000}


async def returned_at(returned: trio.Event) -> float:
    with trio.fail_after(600):
        await returned.wait()
    return trio.current_time()


@pytest.mark.req("ORCH-3031", "ORCH-3031a", "ORCH-3031d")
async def test_a_drain_takes_nothing_new_and_lets_what_runs_end(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration(PACE, server=SERVER)) as (service, returned):
        assert service.running is not None
        running, waiting = await service.admit(max_tokens=20), await service.admit(max_tokens=10)
        events = [await service.open_stream(each) for each in (running, waiting)]
        began = trio.current_time()
        service.running.stop()
        await trio.lowlevel.checkpoint()
        refused = await service.call("POST", "/v1/tasks", body=task())
        assert (refused.status, refused.code, refused.data["retriable"]) == (503, "POOL_UNREADY", True)
        assert "retry-after" in refused.headers
        ready = await service.call("GET", "/readyz")
        assert (ready.status, ready.data["draining"]) == (503, True)
        assert (await service.call("GET", "/livez")).status == 200
        for each in events:
            await each.rest()
            assert (each.kinds[-1], "canceled" in each.frames[-1].data) == ("end", False)
        assert events[1].kinds.count("token") == 10
        assert await returned_at(returned) - began < 5


@pytest.mark.req("ORCH-3031a", "ORCH-3031b")
async def test_what_has_not_ended_at_the_deadline_is_cancelled(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration({"slots": 1, "script": STALLING}, server=SERVER)) as (service, returned):
        assert service.running is not None
        running, waiting = await service.admit(), await service.admit()
        events = [await service.open_stream(each) for each in (running, waiting)]
        began = trio.current_time()
        service.running.stop()
        for each in events:
            await each.rest()
            assert (each.kinds[-1], each.frames[-1].data["canceled"]) == ("end", True)
            assert each.frames[-1].at - began == pytest.approx(5, abs=0.1)
            await each.close()
        assert await returned_at(returned) - began < 5.5
        assert [line["reason"] for line in service.logged("cancel") if line["actor"] == "orchestratord"] == [
            "shutdown"
        ] * 2


@pytest.mark.req("ORCH-3031c")
async def test_a_second_stop_ends_the_drain_at_once(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration({"slots": 1, "script": STALLING}, server=SERVER)) as (service, returned):
        assert service.running is not None
        events = await service.open_stream(await service.admit())
        await events.until("token")
        began = trio.current_time()
        service.running.stop()
        await trio.sleep(1)
        service.running.stop()
        await events.rest()
        await events.close()
        assert events.frames[-1].data["canceled"] is True
        assert await returned_at(returned) - began < 1.1
        service.running.stop()


@pytest.mark.req("ORCH-3031b")
async def test_with_nothing_to_do_it_returns_at_once(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration(PACE, server=SERVER)) as (service, returned):
        assert service.running is not None
        await service.read(await service.admit())
        began = trio.current_time()
        service.running.stop()
        assert await returned_at(returned) == began


@pytest.mark.req("ORCH-3031b", "SSE-1004b")
@pytest.mark.parametrize("stall_ms", [500, 60_000])
async def test_a_client_that_does_not_read_cannot_hold_the_exit_back(stall_ms: int, autojump_clock: MockClock) -> None:
    server = {**SERVER, "client_stall_timeout_ms": stall_ms}
    async with open_daemon(configuration({"slots": 1, "script": FLOOD}, server=server)) as (service, returned):
        assert service.running is not None
        stuck = await service.open_stream(await service.admit(), capacity=1000)
        began = trio.current_time()
        service.running.stop()
        assert await returned_at(returned) - began <= 5 + FLUSH_S
        assert service.pool.active_leases == 0
        await stuck.close()


@pytest.mark.req("ORCH-3031b")
@pytest.mark.parametrize("requests", [0, 1])
async def test_an_idle_connection_does_not_delay_the_exit(requests: int, autojump_clock: MockClock) -> None:
    async with open_daemon(configuration(PACE, server=SERVER)) as (service, returned):
        assert service.running is not None
        idle = service.connect()
        for _ in range(requests):
            await idle.call("GET", "/livez")
        await trio.sleep(1)
        began = trio.current_time()
        service.running.stop()
        assert await returned_at(returned) == began
        assert await idle.receive() == b""


@pytest.mark.req("ORCH-3031b")
async def test_half_a_request_does_not_delay_the_exit_for_long(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration(PACE, server=SERVER)) as (service, returned):
        assert service.running is not None
        client = service.connect()
        await client.send_head("POST", "/v1/tasks", headers=[("Content-Length", "100")])
        await trio.sleep(1)
        began = trio.current_time()
        service.running.stop()
        assert await returned_at(returned) - began <= FLUSH_S


@pytest.mark.req("ORCH-3031b", "OC-CTRL-2012")
async def test_being_cancelled_ends_every_task_and_gives_everything_back(autojump_clock: MockClock) -> None:
    async with open_daemon(configuration({"slots": 1, "script": STALLING}, server=SERVER)) as (service, _):
        task_id = await service.admit()
        await service.admit()
        await trio.sleep(1)
        service.nursery.cancel_scope.cancel()
    assert (service.pool.active_leases, len(service.pool.queue)) == (0, 0)
    assert sorted(str(line["job_id"]) == task_id for line in service.logged("cancel") if "reason" in line) == [
        False,
        True,
    ]


@pytest.mark.req("ORCH-3031b")
async def test_a_service_that_cannot_open_its_adapters_lets_go_of_its_address() -> None:
    class Broken:
        engine = "mock"
        settings_schema: Mapping[str, object] = {"type": "object"}

        def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[WorkerAdapter]:
            raise OSError("no such device")

    with pytest.raises(OSError, match="no such device"):
        await service_module.serve(configuration(server=SERVER), factories=lambda _: Broken())  # type: ignore[arg-type,return-value]
