"""Routing, leases, correlation ids, notes, and what becomes of Cancelled and of the caller's own errors."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import (
    CorrelationId,
    End,
    InternalError,
    PoolId,
    PoolUnavailable,
    ReplicaId,
    SessionId,
    Started,
    TaskRequest,
    Token,
    WorkerError,
    WorkerHealth,
    WorkerReset,
)
from adapter_host import ACTOR, NotBound
from tests.support.scripted import CHECKPOINTS, Script, ScriptedAdapter, answer

from .support import CANARY, POOL, R0, bench, request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from adapter_api import TokenEvent
    from tests.support.scripted import Step

R1 = ReplicaId("r1")


@pytest.mark.req("AH-1001", "AH-1002")
async def test_routes_to_the_replica_that_is_named_and_else_to_the_first() -> None:
    first, second = ScriptedAdapter(), ScriptedAdapter()
    rig = bench(first)
    rig.host.bind(POOL, R1, "scripted", second)
    await rig.collect()
    async with rig.host.submit(POOL, request(), replica_id=R1) as stream:
        assert [event.kind async for event in stream][-1] == "end"
    assert (len(first.requests), len(second.requests)) == (1, 1)


@pytest.mark.req("AH-1001")
async def test_says_what_is_not_bound() -> None:
    rig = bench(ScriptedAdapter())
    with pytest.raises(NotBound, match="pool q"):
        async with rig.host.submit(PoolId("q"), request()):
            pass
    with pytest.raises(NotBound, match="p/r9"):
        async with rig.host.submit(POOL, request(), replica_id=ReplicaId("r9")):
            pass
    rig.host.unbind(rig.binding)
    with pytest.raises(NotBound, match="pool p"):
        await rig.collect()


@pytest.mark.req("AH-1001a", "AH-1001b")
async def test_a_rebind_lets_streams_in_flight_finish_where_they_began(
    autojump_clock: trio.testing.MockClock,
) -> None:
    old, new = ScriptedAdapter(streams=[answer("old", gap_s=1.0)]), ScriptedAdapter(streams=[answer("new")])
    rig = bench(old)
    unused_at: list[float] = []

    async def close_old() -> None:
        await rig.binding.wait_unused()
        unused_at.append(trio.current_time())

    async with trio.open_nursery() as nursery, rig.host.submit(POOL, request("a")) as before:
        events = [await anext(before)]
        renewed = rig.host.bind(POOL, R0, "scripted", new)
        nursery.start_soon(close_old)
        async with rig.host.submit(POOL, request("b")) as after:
            later = [event async for event in after]
        events += [event async for event in before]
        assert not unused_at
        ended_at = trio.current_time()
    assert [event.data.get("t") for event in events][1] == "old"
    assert [event.data.get("t") for event in later][1] == "new"
    assert unused_at == [ended_at]
    rig.host.unbind(rig.binding)  # the newer one stays
    assert (await rig.collect())[-1].kind == "end"
    assert len(new.requests) == 2
    assert "leases=0" in repr(renewed)


@pytest.mark.req("AH-1001b")
@pytest.mark.parametrize("step", [WorkerReset("gone"), ValueError("odd"), trio.Event()])
async def test_a_lease_is_given_back_however_a_stream_ends(
    autojump_clock: trio.testing.MockClock, step: Exception | trio.Event
) -> None:
    rig = bench(ScriptedAdapter(streams=[[Started(), step]]))
    with trio.move_on_after(1), pytest.raises(WorkerError):
        await rig.collect()
    with trio.fail_after(1):
        await rig.binding.wait_unused()


@pytest.mark.req("AH-1003")
@pytest.mark.parametrize(("given", "passed"), [("from-client", "from-client"), (None, "made-up")])
async def test_the_correlation_id_reaches_the_adapter_and_the_log(given: str | None, passed: str) -> None:
    adapter = ScriptedAdapter()
    rig = bench(adapter)
    await rig.collect(request(correlation_id=None if given is None else CorrelationId(given)))
    assert adapter.requests[0].correlation_id == passed
    assert {note.fields["correlation_id"] for note in rig.notes} == {passed}


@pytest.mark.req("ORCH-3604", "AH-2001")
async def test_tells_each_moment_with_its_ids_in_fields() -> None:
    script: list[Step] = [Started(engine_version="1.0", seed=7), Token("a", 0), End(tokens_out=1, decode_time_ms=5)]
    rig = bench(ScriptedAdapter(streams=[script]))
    await rig.collect(request("id-1", session_id=SessionId("s")))
    assert rig.actions == ["submit", "stream_start", "stream_end"]
    ids = {"job_id": "id-1", "session_id": "s", "engine": "scripted", "pool_id": "p", "replica_id": "r0"}
    for note in rig.notes:
        assert ids.items() <= note.fields.items()
        assert note.target == "p"
        assert not {"id-1", "made-up"} & set(note.human.split())
    assert rig.notes[1].fields["seed"] == 7
    assert rig.notes[2].fields["tokens_out"] == 1
    assert ACTOR == "adapter-host"


@pytest.mark.req("ORCH-3604", "HTU-1004g")
async def test_notes_hold_no_text_of_the_request_or_the_answer() -> None:
    rig = bench(ScriptedAdapter(streams=[answer("the answer")]))
    await rig.collect()
    told = " ".join(map(repr, rig.notes))
    assert "words" not in told
    assert "the answer" not in told


@pytest.mark.req("ADAPT-3002b", "AH-1004a")
@pytest.mark.parametrize("exit_steps", [(), (CHECKPOINTS(2),), (0.25,)], ids=["quick", "checkpoints", "slow"])
async def test_cancelled_passes_and_the_connection_is_closed(
    autojump_clock: trio.testing.MockClock, exit_steps: tuple[float]
) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()]], exit=exit_steps)
    rig = bench(adapter)
    with trio.move_on_after(1) as scope:
        await rig.collect()
    assert scope.cancelled_caught
    assert not adapter.live
    assert rig.actions == ["submit", "stream_start", "cancel"]


@pytest.mark.req("ADAPT-3002b", "AH-1005")
async def test_an_exit_that_raises_in_a_nursery_does_not_take_cancelled_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A group of Cancelled and a foreign error leaves as Cancelled alone; the error is told."""
    rig = bench(NurseryAdapter())
    with trio.move_on_after(1) as scope:
        await rig.collect()
    assert scope.cancelled_caught
    assert rig.actions == ["submit", "stream_start", "error"]
    assert "broken clean-up" in rig.notes[-1].human


class OwnError(Exception):
    """The caller's own."""


@pytest.mark.req("AH-1005")
@pytest.mark.parametrize("kind", ["plain", "nursery", "swallows"])
async def test_the_callers_own_error_is_not_the_adapters(autojump_clock: trio.testing.MockClock, kind: str) -> None:
    adapter = {"plain": ScriptedAdapter, "nursery": NurseryAdapter, "swallows": SwallowingAdapter}[kind]()
    rig = bench(adapter)
    with pytest.raises(OwnError):
        async with rig.host.submit(POOL, request()):
            raise OwnError
    assert not adapter.live
    assert "error" not in rig.actions


@pytest.mark.req("AH-1004a")
async def test_an_error_that_the_adapter_swallows_still_fails_the_stream() -> None:
    adapter = SwallowingAdapter(streams=[[Started(), WorkerReset("gone")]])
    with pytest.raises(WorkerReset, match="gone"):
        await bench(adapter).collect()


@pytest.mark.req("AH-1004")
async def test_two_streams_under_one_id_both_end() -> None:
    rig = bench(ScriptedAdapter())
    async with rig.host.submit(POOL, request()) as first:
        async with rig.host.submit(POOL, request()) as second:
            assert [event.kind async for event in second][-1] == "end"
        assert [event.kind async for event in first][-1] == "end"


@pytest.mark.req("AH-1002")
async def test_health_is_a_report_whatever_happens() -> None:
    rig = bench(Sick())
    assert await rig.host.health(PoolId("q")) == WorkerHealth(
        live=False, ready=False, detail="the adapter raised NotBound: no adapter is bound to pool q"
    )
    report = await rig.host.health(POOL)
    assert (report.live, report.ready) == (False, False)
    assert CANARY not in report.detail


@pytest.mark.req("AH-3001", "HTU-1004")
async def test_what_an_engine_says_of_itself_is_redacted() -> None:
    adapter = ScriptedAdapter(
        health_report=WorkerHealth(live=True, ready=False, detail=f"needs {CANARY}"),
        streams=[[Started(engine_version=f"1.0 {CANARY}"), End(tokens_out=0, decode_time_ms=0)]],
        version=f"1.0 {CANARY}",
    )
    rig = bench(adapter)
    events = await rig.collect()
    told = [await rig.host.health(POOL), await rig.host.capabilities(POOL), events, rig.notes]
    assert CANARY not in repr(told)
    assert "1.0 ***" in repr(events)


@pytest.mark.req("AH-1002", "ADAPT-3002")
async def test_props_and_capabilities_fail_as_worker_errors() -> None:
    rig = bench(ScriptedAdapter())
    assert (await rig.host.props(POOL)).slots_total == 1
    assert (await rig.host.capabilities(POOL, R0)).engine == "scripted"
    sick = bench(Sick())
    with pytest.raises(InternalError, match=r"OSError: \*\*\*"):
        await sick.host.props(POOL)
    with pytest.raises(InternalError, match=r"OSError: \*\*\*"):
        await sick.host.capabilities(POOL)


async def test_a_failed_report_is_not_its_own_cause() -> None:
    rig = bench(ScriptedAdapter(props_error=PoolUnavailable("connect: refused")))
    with pytest.raises(PoolUnavailable) as caught:
        await rig.host.props(POOL)
    assert caught.value.__cause__ is None


class Sick(ScriptedAdapter):
    """Breaks its contract in every report."""

    async def health(self) -> WorkerHealth:
        raise OSError(CANARY)

    props = capabilities = health  # type: ignore[assignment]  # it never returns


class SwallowingAdapter(ScriptedAdapter):
    """Its exit eats whatever was raised inside the block."""

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
        try:
            yield Script(self.streams[0])
        except Exception:  # noqa: BLE001 - this is what it gets wrong
            return


class NurseryAdapter(ScriptedAdapter):
    """Keeps a nursery around its stream, so that what leaves it is a group, and its clean-up fails when cancelled."""

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
        async with trio.open_nursery() as nursery:  # noqa: ASYNC101 - an adapter may, inside a context manager
            nursery.start_soon(self._pump)
            yield Script([Started(), trio.Event()])

    async def _pump(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            if trio.current_effective_deadline() == float("-inf") and trio.current_time() >= 1:
                raise ValueError("broken clean-up")
