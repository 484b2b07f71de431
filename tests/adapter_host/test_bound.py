"""An adapter is open for as long as it is bound, and for as long as a stream holds it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_host import CLOSE_BOUND_S, bound
from tests.support.scripted import ScriptedAdapter, answer

from .support import POOL, R0, bench, request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .support import Bench

Clock = trio.testing.MockClock


class Opened:
    """An adapter and when it was closed."""

    def __init__(self, adapter: ScriptedAdapter) -> None:
        self.adapter = adapter
        self.closed_at: float | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ScriptedAdapter, None]:
        yield self.adapter
        self.closed_at = trio.current_time()


async def read(rig: Bench, task_id: str, texts: list[object]) -> None:
    async with rig.host.submit(POOL, request(task_id)) as stream:
        texts += [event.data["t"] async for event in stream if event.kind == "token"]


@pytest.mark.req("AH-1001a", "AH-1001b", "AH-1001c")
async def test_a_rebind_closes_the_old_adapter_when_its_last_stream_is_over(autojump_clock: Clock) -> None:
    rig = bench(ScriptedAdapter())
    old = Opened(ScriptedAdapter(streams=[answer("old", gap_s=20.0)]))
    new = Opened(ScriptedAdapter(streams=[answer("new")]))
    texts: list[object] = []
    async with trio.open_nursery() as nursery:
        async with bound(rig.host, POOL, R0, "scripted", old.open()):
            nursery.start_soon(read, rig, "a", texts)
            await trio.sleep(1)
            renewed = bound(rig.host, POOL, R0, "scripted", new.open())
            await renewed.__aenter__()
            await read(rig, "b", texts)
            assert (texts, old.closed_at) == (["new"], None)
        assert texts == ["new", "old"]
        assert old.closed_at == 20.0
        await read(rig, "c", texts)
        await renewed.__aexit__(None, None, None)
    assert texts == ["new", "old", "new"]
    assert new.closed_at == 20.0


@pytest.mark.req("AH-1001d")
async def test_an_adapter_that_cannot_be_opened_changes_nothing(autojump_clock: Clock) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[ScriptedAdapter, None]:
        raise OSError("no such socket")
        yield

    rig = bench(ScriptedAdapter())
    with pytest.raises(OSError, match="no such socket"):
        async with bound(rig.host, POOL, R0, "scripted", broken()):
            raise AssertionError("it was bound")
    assert (await rig.collect())[-1].kind == "end"


@pytest.mark.req("AH-1001c")
@pytest.mark.parametrize(("lasts_s", "closed_at"), [(3.0, 4.0), (60.0, 1 + CLOSE_BOUND_S)])
async def test_a_cancelled_exit_waits_for_streams_but_not_for_ever(
    autojump_clock: Clock, lasts_s: float, closed_at: float
) -> None:
    rig = bench(ScriptedAdapter())
    opened = Opened(ScriptedAdapter(streams=[[1.0, *answer("a", gap_s=lasts_s)]]))
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with bound(rig.host, POOL, R0, "scripted", opened.open()):
                nursery.start_soon(read, rig, "a", [])
                await trio.sleep(1)
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() == closed_at
        nursery.cancel_scope.cancel()


@pytest.mark.req("ORCH-3602l")
async def test_a_rebind_closes_the_breaker(autojump_clock: Clock) -> None:
    rig = bench(ScriptedAdapter())
    breaker = rig.host.breaker(POOL, R0)
    for _ in range(5):
        trial = breaker.begin()
        assert trial is not None
        trial.failed()
    assert breaker.room == 0
    async with bound(rig.host, POOL, R0, "scripted", Opened(ScriptedAdapter()).open()):
        assert rig.host.breaker(POOL, R0) is breaker
        assert breaker.room is None
