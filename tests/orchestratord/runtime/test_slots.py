"""When the slot of a task that did not end by itself is free again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import (
    AdapterError,
    DecodeTimeout,
    PoolUnavailable,
    Started,
    WorkerReset,
)
from orchestratord.core.task import CancelReason, TaskState
from tests.support.scripted import ScriptedAdapter, answer
from tests.support.service_rig import open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from adapter_api import TaskRequest, TokenEvent, WorkerError
    from tests.support.scripted import Step

Clock = trio.testing.MockClock


@pytest.mark.req("SSE-1002f", "OC-CORE-1006")
async def test_a_canceled_tasks_slot_is_busy_until_the_engine_has_let_go(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], linger_s=1.0)
    async with open_rig(adapter) as rig:
        first = rig.admit()
        second = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(first.task_id)
        assert trio.current_time() == 1.0  # the answer does not wait for the slot
        assert rig.pool.active_leases == 1
        await second.granted.wait()
        assert 2.0 <= trio.current_time() <= 2.5


@pytest.mark.req("OC-CTRL-2051")
async def test_a_cancel_is_counted_when_it_happens_and_not_when_the_slot_is_free(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], linger_s=1.0)
    async with open_rig(adapter) as rig:
        task = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(task.task_id)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == 1.0
        assert rig.pool.active_leases == 1
        assert rig.metric("tasks_canceled_total", reason="client", replica_id="r0") == 1
        assert "stops a task (client)" in [line["human"] for line in rig.lines()]


@pytest.mark.req("SSE-1002f")
@pytest.mark.parametrize(
    ("adapter", "free_after_s"),
    [
        (ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], linger_s=1000.0), 3.0),
        (ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], tells_slots=False), 3.0),
    ],
    ids=["hung engine", "no slot report"],
)
async def test_the_grace_bounds_how_long_a_slot_is_held_back(
    autojump_clock: Clock, adapter: ScriptedAdapter, free_after_s: float
) -> None:
    async with open_rig(adapter) as rig:
        first = rig.admit()
        second = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(first.task_id)
        await second.granted.wait()
        assert trio.current_time() == 1 + free_after_s


@pytest.mark.req("SSE-1002g")
@pytest.mark.parametrize(
    ("error", "free_after_s"),
    [
        (PoolUnavailable("HTTP 429: slow down", upstream_status=429, retry_after_ms=2000), 0.0),
        (PoolUnavailable("no connection in time"), 0.0),
        (WorkerReset("HTTP 200: the batch failed", upstream_status=200), 0.0),
        (WorkerReset("cut"), 3.0),
        (DecodeTimeout("silent"), 3.0),
        (AdapterError("not the protocol"), 3.0),
    ],
    ids=["refused", "not reached", "failed in the stream", "cut", "silent", "foreign"],
)
async def test_what_the_engine_has_ended_itself_holds_no_slot(
    autojump_clock: Clock, error: WorkerError, free_after_s: float
) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), error], answer("a")], tells_slots=False)
    async with open_rig(adapter) as rig:
        rig.admit()
        await rig.admit().granted.wait()
        assert trio.current_time() == free_after_s


@pytest.mark.req("SSE-1002f")
async def test_a_dead_engine_holds_no_slot(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), WorkerReset("died")], answer("a")])
    async with open_rig(adapter) as rig:
        adapter.props_error = PoolUnavailable("connect: refused")
        first = rig.admit()
        second = rig.admit()
        await second.granted.wait()
        assert trio.current_time() == 0.0
        assert first.state is TaskState.FAILED


@pytest.mark.req("ORCH-3038a")
async def test_a_failed_stream_asks_for_a_probe_and_a_blamed_request_does_not(autojump_clock: Clock) -> None:
    blame = AdapterError("too long", blames_request=True)
    for error, is_doubted in ((WorkerReset("cut"), True), (blame, False)):
        async with open_rig(ScriptedAdapter(streams=[[Started(), error]])) as rig:
            await rig.read(rig.admit())
            replica = next(iter(rig.pool.replicas.values()))
            assert replica.suspect.is_set() == is_doubted
            assert (error.message in (rig.pool.last_error or "")) == is_doubted, "a client's mistake is not the pool's"


@pytest.mark.req("SSE-1002f", "OC-CORE-1006")
@pytest.mark.parametrize("apart_s", [0.0, 0.25, 0.5])
async def test_an_engine_never_gets_more_than_it_has_slots_for(autojump_clock: Clock, apart_s: float) -> None:
    """Two slots come free at different times; the report that one has must not pass for both."""

    class Counting(ScriptedAdapter):
        most = 0

        @asynccontextmanager
        async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
            async with super().submit(request) as events:
                Counting.most = max(Counting.most, self.engine_busy)
                yield events

    hung: list[Step] = [Started(), trio.Event()]
    adapter = Counting(streams=[hung, hung, answer("a", gap_s=0.75)], slots=2)
    async with open_rig(adapter) as rig:
        tasks = [rig.admit() for _ in range(8)]
        await trio.sleep(1)
        for task, linger_s in zip(tasks[:2], (0.5, 2.0), strict=True):
            adapter.linger_s = linger_s
            task.cancel(CancelReason.CLIENT)
            await task.closed.wait()
            await trio.sleep(apart_s)
        for task in tasks[2:]:
            await task.closed.wait()
        assert Counting.most == 2
