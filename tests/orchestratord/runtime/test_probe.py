"""How the service comes to know how its engines are."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from adapter_api import PoolUnavailable, WorkerHealth, WorkerProps
from tests.support.scripted import READY, ScriptedAdapter, answer
from tests.support.service_rig import open_rig

Clock = trio.testing.MockClock
LOADING = WorkerHealth(live=True, ready=False, detail="loading model")

pytestmark = pytest.mark.req("ORCH-3038")


class Watched(ScriptedAdapter):
    """Remembers when it was asked."""

    async def health(self) -> WorkerHealth:
        ASKED.append(trio.current_time())
        return await super().health()


ASKED: list[float] = []


@pytest.mark.req("ORCH-3038a")
async def test_looks_at_growing_intervals_until_the_engine_is_ready_and_then_at_the_bound(
    autojump_clock: Clock,
) -> None:
    adapter = Watched(health_report=LOADING)
    async with open_rig(adapter, pool={"probe_interval_ms": 2000}) as rig:
        ASKED.clear()
        replica = next(iter(rig.pool.replicas.values()))
        rig.nursery.start_soon(rig.prober.watch, rig.pool, replica)
        await trio.sleep(5)
        assert ASKED == [0.0, 0.25, 0.75, 1.75, 3.75]
        adapter.health_report = READY
        await trio.sleep(5)
        assert ASKED[5:] == [5.75, 7.75, 9.75]
        replica.doubt()
        await trio.sleep(0.125)
        assert ASKED[8:] == [10.0]


async def test_an_engine_that_comes_up_lets_waiting_tasks_start(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", gap_s=1.0)])
    async with open_rig(adapter) as rig:
        replica = next(iter(rig.pool.replicas.values()))
        running, waiting = rig.admit(), rig.admit()
        adapter.health_report = LOADING
        await rig.prober.look(rig.pool, replica)
        await running.closed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert waiting.lease is None
        adapter.health_report = READY
        await rig.prober.look(rig.pool, replica)
        assert waiting.lease is not None


@pytest.mark.req("OC-METRICS-7101a")
async def test_what_a_dead_engine_said_of_its_slots_holds_no_more(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[answer("a")])
    async with open_rig(adapter) as rig:
        replica = next(iter(rig.pool.replicas.values()))
        await rig.prober.look(rig.pool, replica)
        assert replica.props.slots_total is not None
        adapter.health_report = WorkerHealth(live=False, ready=False, detail="no connection")
        while replica.health.live:  # not at the first bad look
            await rig.prober.look(rig.pool, replica)
        assert replica.props == WorkerProps()


async def test_a_change_is_told_once(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter()
    async with open_rig(adapter) as rig:
        replica = next(iter(rig.pool.replicas.values()))
        for _ in range(3):
            await rig.prober.look(rig.pool, replica)
        adapter.health_report = LOADING
        for _ in range(3):
            await rig.prober.look(rig.pool, replica)
        told = [line["human"] for line in rig.lines() if line["event"] == "health"]
        assert told == ["scripted is ready", "scripted is not ready (loading model)"]
        assert rig.metric("pool_ready", pool_id="p") == 0


async def test_an_engine_that_is_ready_and_does_not_tell_more_still_serves(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(props_error=PoolUnavailable("props: 501"))
    async with open_rig(adapter) as rig:
        assert rig.pool.is_ready
        assert rig.pool.last_error == "props: 501"
        replica = next(iter(rig.pool.replicas.values()))
        assert (replica.capabilities, replica.slots) == (None, 1)
        assert (await rig.read(rig.admit()))[-1].event == "end"
        adapter.props_error = None
        await rig.prober.look(rig.pool, replica)
        assert replica.capabilities is not None


async def test_capabilities_are_asked_again_when_an_engine_comes_back(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter()
    async with open_rig(adapter) as rig:
        replica = next(iter(rig.pool.replicas.values()))
        known = replica.capabilities
        await rig.prober.look(rig.pool, replica)
        assert replica.capabilities is known
        adapter.health_report = LOADING
        await rig.prober.look(rig.pool, replica)
        adapter.health_report, adapter.slots = READY, 5
        await rig.prober.look(rig.pool, replica)
        assert replica.slots == 5
