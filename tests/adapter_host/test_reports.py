"""Questions to adapters that hang, lie or have forgotten what they are, and what is remembered of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import Capabilities, CorrelationId, InternalError, PoolId, PoolUnavailable, WorkerHealth, WorkerProps
from adapter_host import AdapterHost, PoolPolicy
from tests.support.scripted import ScriptedAdapter

from .support import POOL, R0, mask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Clock = trio.testing.MockClock
BOUND_S, TTL_S = 3.0, 60.0


class Odd(ScriptedAdapter):
    """Answers every question with the same thing, or not at all."""

    told: object = None

    async def health(self) -> WorkerHealth:
        if isinstance(self.told, trio.Event):
            await self.told.wait()
        await trio.lowlevel.checkpoint()
        return self.told  # type: ignore[return-value]  # that is what is wrong with it

    props = capabilities = health  # type: ignore[assignment]  # as above


class Counting(ScriptedAdapter):
    """Counts how often it was asked what it can do."""

    asked = 0

    async def capabilities(self) -> Capabilities:
        self.asked += 1
        return await super().capabilities()


def host_of(adapter: ScriptedAdapter) -> AdapterHost:
    host = AdapterHost(
        observe=lambda _: None,
        redact=mask,
        new_correlation_id=lambda: CorrelationId("made-up"),
        policies={POOL: PoolPolicy(report_s=BOUND_S, capabilities_s=TTL_S)},
    )
    host.bind(POOL, R0, "scripted", adapter)
    return host


def odd(told: object) -> AdapterHost:
    adapter = Odd()
    Odd.told = told
    return host_of(adapter)


@dataclass(frozen=True, slots=True)
class Lookalike:
    """Has a detail, and nothing else of a report."""

    detail: str = "well"


@pytest.mark.req("AH-1002a", "ORCH-3038d")
async def test_health_that_hangs_is_ill_health_within_its_bound(autojump_clock: Clock) -> None:
    report = await odd(trio.Event()).health(POOL)
    assert report == WorkerHealth(live=False, ready=False, detail="health: no answer within 3 s")
    assert trio.current_time() == BOUND_S


@pytest.mark.req("AH-1002a")
@pytest.mark.parametrize("told", [None, "ok", {"live": True, "ready": True}, Lookalike(), WorkerProps()])
async def test_health_that_is_none_is_ill_health(autojump_clock: Clock, told: object) -> None:
    report = await odd(told).health(POOL)
    assert (report.live, report.ready) == (False, False)
    assert f"a {type(told).__name__} instead of WorkerHealth" in report.detail


@pytest.mark.req("AH-1002a")
async def test_health_with_fields_of_the_wrong_kind_is_taken_for_what_it_means(autojump_clock: Clock) -> None:
    report = await odd(WorkerHealth(live=1, ready=0)).health(POOL)  # type: ignore[arg-type]
    assert report == WorkerHealth(live=True, ready=False)
    broken = await odd(WorkerHealth(live=True, ready=True, detail=None)).health(POOL)  # type: ignore[arg-type]
    assert not broken.ready


@pytest.mark.req("AH-1002a")
@pytest.mark.parametrize("name", ["props", "capabilities"])
async def test_other_questions_are_bounded_and_checked_too(autojump_clock: Clock, name: str) -> None:
    def ask(host: AdapterHost) -> Awaitable[object]:
        questions: dict[str, Callable[[PoolId], Awaitable[object]]]
        questions = {"props": host.props, "capabilities": host.capabilities}
        return questions[name](POOL)

    with pytest.raises(PoolUnavailable, match=f"{name}: no answer within 3 s"):
        await ask(odd(trio.Event()))
    assert trio.current_time() == BOUND_S
    with pytest.raises(InternalError, match="the adapter answered a int"):
        await ask(odd(7))


@pytest.mark.req("AH-1002a", "ADAPT-3002")
async def test_a_replica_that_is_not_bound_any_more_is_a_report_or_a_worker_error(autojump_clock: Clock) -> None:
    host = host_of(ScriptedAdapter())
    gone = PoolId("gone")
    assert not (await host.health(gone)).live
    for ask in (host.props, host.capabilities):
        with pytest.raises(InternalError, match="no adapter is bound to pool gone"):
            await ask(gone)


@pytest.mark.req("OC-CTRL-2062a", "ORCH-3603")
async def test_capabilities_are_remembered_until_they_are_too_old(autojump_clock: Clock) -> None:
    adapter = Counting()
    host = host_of(adapter)
    for _ in range(3):
        await host.capabilities(POOL)
    assert adapter.asked == 1
    await trio.sleep(TTL_S - 1)
    await host.capabilities(POOL)
    assert adapter.asked == 1
    await trio.sleep(1)
    await host.capabilities(POOL)
    assert adapter.asked == 2


@pytest.mark.req("OC-CTRL-2062a")
async def test_capabilities_are_asked_again_on_demand_and_after_a_rebind(autojump_clock: Clock) -> None:
    adapter, other = Counting(), Counting(version="2.0")
    host = host_of(adapter)
    await host.capabilities(POOL)
    await host.capabilities(POOL, renew=True)
    assert adapter.asked == 2
    host.bind(POOL, R0, "scripted", other)
    assert (await host.capabilities(POOL)).engine_version == "2.0"
    assert (adapter.asked, other.asked) == (2, 1)


@pytest.mark.req("OC-CTRL-2062a")
async def test_an_answer_that_failed_is_not_remembered(autojump_clock: Clock) -> None:
    host = odd(7)
    with pytest.raises(InternalError):
        await host.capabilities(POOL)
    Odd.told = await ScriptedAdapter().capabilities()
    assert (await host.capabilities(POOL)).engine == "scripted"
