"""Which replicas take tasks: doubtful ones, hanging ones, and the one that differs from the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import Capabilities, End, PoolUnavailable, ReplicaId, Started, Token, WorkerHealth
from orchestratord.errors import Code, Refused
from tests.support.scripted import READY, ScriptedAdapter, answer
from tests.support.service_rig import open_rig

if TYPE_CHECKING:
    from tests.support.service_rig import Rig

Clock = trio.testing.MockClock
R0, R1 = ReplicaId("r0"), ReplicaId("r1")
GONE = WorkerHealth(live=False, ready=False, detail="connection refused")


class Hanging(ScriptedAdapter):
    """Does not answer while it hangs."""

    hangs = False

    async def health(self) -> WorkerHealth:
        if self.hangs:
            await trio.sleep_forever()
        return await super().health()


class Telling(ScriptedAdapter):
    """Tells a digest, and counts how often it is asked."""

    digest: str | None = None
    asked = 0

    async def capabilities(self) -> Capabilities:
        self.asked += 1
        known = await super().capabilities()
        return Capabilities(
            engine=known.engine, engine_version=known.engine_version, model="m", model_digest=self.digest
        )


async def look(rig: Rig, replica_id: ReplicaId = R0, times: int = 1) -> None:
    for _ in range(times):
        await rig.prober.look(rig.pool, rig.pool.replicas[replica_id])


def telling(version: str, digest: str | None = None) -> Telling:
    adapter = Telling(version=version)
    adapter.digest = digest
    return adapter


@pytest.mark.req("ORCH-3038c")
async def test_one_lost_check_is_no_outage_and_is_shown(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter()
    async with open_rig(adapter, pool={"health": {"failures": 2, "successes": 2}}) as rig:
        await look(rig)
        assert rig.pool.is_ready
        adapter.health_report = GONE
        await look(rig)
        assert rig.pool.is_ready
        assert rig.pool.replicas[R0].health.detail == "1 of 2 failed checks: connection refused"
        await look(rig)
        assert not rig.pool.is_ready
        assert rig.pool.replicas[R0].why == "connection refused"
        adapter.health_report = READY
        await look(rig)
        assert not rig.pool.is_ready
        await look(rig)
        assert rig.pool.is_ready
        told = [line["human"] for line in rig.lines() if line["event"] == "health"]
        assert told == [
            "scripted is not ready (1 of 2 good checks)",
            "scripted is ready",
            "scripted is not ready (connection refused)",
            "scripted is not ready (1 of 2 good checks)",
            "scripted is ready",
        ]


@pytest.mark.req("ORCH-3038c", "ORCH-3038a")
async def test_a_doubtful_replica_is_looked_at_again_soon(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter()
    async with open_rig(adapter, pool={"probe_interval_ms": 60_000, "health": {"failures": 3}}) as rig:
        rig.nursery.start_soon(rig.prober.watch, rig.pool, rig.pool.replicas[R0])
        await trio.sleep(1)
        adapter.health_report = GONE
        rig.pool.replicas[R0].doubt()
        await trio.sleep(1)
        assert not rig.pool.is_ready


@pytest.mark.req("ORCH-3038d", "ORCH-3038", "AH-1002a")
async def test_a_check_that_hangs_makes_the_pool_unready_within_its_bound(autojump_clock: Clock) -> None:
    adapter = Hanging()
    pool = {"probe_interval_ms": 1000, "health": {"failures": 2, "timeout_ms": 500}}
    async with open_rig(adapter, pool=pool) as rig:
        rig.nursery.start_soon(rig.prober.watch, rig.pool, rig.pool.replicas[R0])
        await trio.sleep(0.5)
        assert rig.pool.is_ready
        adapter.hangs = True
        await trio.sleep(0.5 + 0.5 + 0.25 + 0.5 + 0.125)  # to the next check, its bound, the pause, the bound again
        assert not rig.pool.is_ready
        with pytest.raises(Refused) as caught:
            rig.admit()
        assert caught.value.envelope.code is Code.POOL_UNREADY
        assert rig.pool.replicas[R0].why == "health: no answer within 0.5 s"
        adapter.hangs = False
        await trio.sleep(2)
        assert rig.pool.is_ready


@pytest.mark.req("ORCH-3038d")
async def test_a_check_that_answers_nonsense_does_not_end_the_watch(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(health_report=None)  # type: ignore[arg-type]  # that is what is wrong with it
    async with open_rig(adapter, pool={"probe_interval_ms": 1000}) as rig:
        rig.nursery.start_soon(rig.prober.watch, rig.pool, rig.pool.replicas[R0])
        await trio.sleep(1)
        assert "NoneType instead of WorkerHealth" in rig.pool.replicas[R0].why
        adapter.health_report = READY
        await trio.sleep(2)
        assert rig.pool.is_ready


@pytest.mark.req("OC-CORE-1031", "OC-CORE-1032", "OC-CORE-1010")
async def test_the_odd_replica_is_kept_out_with_both_values(autojump_clock: Clock) -> None:
    first, odd = telling("b1"), telling("b2")
    async with open_rig(first, odd) as rig:
        message = "engine_version: 'b2' here, 'b1' in the rest of the pool"
        assert rig.pool.replicas[R1].why == message
        assert rig.pool.last_error == f"replica r1 is kept out: {message}"
        assert rig.pool.served.engine_version == "b1"
        assert (rig.pool.slots, rig.pool.is_ready) == (1, True)
        for _ in range(3):
            await rig.admit().closed.wait()
            await trio.testing.wait_all_tasks_blocked()
        assert (len(first.requests), len(odd.requests)) == (3, 0)
        await look(rig, R1)
        (told,) = [line for line in rig.lines() if line["event"] == "replica"]
        assert (told["replica_id"], told["detail"], told["level"]) == ("r1", message, "warning")


@pytest.mark.req("OC-CORE-1031")
async def test_another_digest_is_another_model(autojump_clock: Clock) -> None:
    async with open_rig(telling("b1", "sha256:a"), telling("b1"), telling("b1", "sha256:b")) as rig:
        assert [replica.serves for replica in rig.pool.replicas.values()] == [True, True, False]
        assert "model_digest: 'sha256:b' here, 'sha256:a'" in (rig.pool.last_error or "")


@pytest.mark.req("OC-CORE-1032", "OC-CTRL-2062a")
async def test_a_pool_whose_engines_are_replaced_one_by_one_follows_them(autojump_clock: Clock) -> None:
    adapters = [telling("b1"), telling("b1")]
    async with open_rig(*adapters, pool={"health": {"failures": 1}}) as rig:

        async def replace(replica_id: ReplicaId) -> None:
            adapter = adapters[list(rig.pool.replicas).index(replica_id)]
            adapter.health_report = GONE
            await look(rig, replica_id)
            adapter.health_report, adapter.version = READY, "b2"
            await look(rig, replica_id)

        await replace(R0)
        assert [replica.serves for replica in rig.pool.replicas.values()] == [False, True]
        adapters[1].health_report = GONE
        await look(rig, R1)
        assert [replica.serves for replica in rig.pool.replicas.values()] == [True, False]
        adapters[1].health_report, adapters[1].version = READY, "b2"
        await look(rig, R1)
        assert [replica.serves for replica in rig.pool.replicas.values()] == [True, True]
        assert rig.pool.served.engine_version == "b2"


@pytest.mark.req("OC-CTRL-2062a", "OC-CTRL-2062")
async def test_capabilities_are_asked_again_when_they_are_old(autojump_clock: Clock) -> None:
    adapter = telling("b1")
    async with open_rig(adapter, pool={"health": {"capabilities_ttl_ms": 60_000}}) as rig:
        await look(rig, times=3)
        assert adapter.asked == 1
        await trio.sleep(60)
        await look(rig)
        assert adapter.asked == 2


@pytest.mark.req("OC-CTRL-2062a")
async def test_a_stream_of_another_version_has_the_engine_asked_again(autojump_clock: Clock) -> None:
    """It restarted between two checks, and nobody saw it down."""
    adapter = telling("b1")
    adapter.streams = [[Started(engine_version="b2"), Token("a", 0), End(tokens_out=1, decode_time_ms=0)]]
    async with open_rig(adapter, pool={"probe_interval_ms": 60_000}) as rig:
        rig.nursery.start_soon(rig.prober.watch, rig.pool, rig.pool.replicas[R0])
        await trio.sleep(1)
        adapter.version = "b2"
        await rig.admit().closed.wait()
        await trio.sleep(1)
        assert rig.pool.served.engine_version == "b2"
        asked = adapter.asked
        await rig.admit().closed.wait()
        await trio.sleep(1)
        assert adapter.asked == asked


@pytest.mark.req("OC-CTRL-2062a")
async def test_a_restart_is_not_forgotten_when_the_engine_does_not_answer_at_first(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[answer("a")])
    async with open_rig(adapter) as rig:
        replica = rig.pool.replicas[R0]
        replica.hear("9.9")
        adapter.props_error = PoolUnavailable("props: 503")
        await look(rig)
        adapter.props_error, adapter.version = None, "9.9"
        await look(rig)
        assert rig.pool.served.engine_version == "9.9"
