"""A cancel at any moment: no token after it returned, one canceled end, and nothing that a hung adapter can delay.

Times are aimed at ties: the cancel falls on the very tick of a token, on the one before and the one after, and some
checkpoints later.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import End, FrameOrder, Started, TaskId, Token, WorkerReset
from adapter_host import CANCEL_BOUND_S, HostedStream
from tests.support.scripted import CHECKPOINTS, TICK, Script, ScriptedAdapter, answer

from .support import POOL, bench, mask, read_to, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import TokenEvent
    from adapter_host import AdapterHost
    from tests.support.scripted import Step

TASK = TaskId("task")
GAP = 128 * TICK
MOMENTS = [(token * GAP + shift * TICK, late) for token, shift, late in product((0, 1, 2, 3), (-1, 0, 1), range(6))]


class Race:
    """One stream that is read while another task cancels it; `acknowledged` is the number of events seen by then."""

    def __init__(self, host: AdapterHost) -> None:
        self.host = host
        self.events: list[TokenEvent] = []
        self.acknowledged: int | None = None
        self.was_stopped = False

    async def read(self) -> None:
        async with self.host.submit(POOL, request()) as stream:
            async for event in stream:
                self.events.append(event)

    async def cancel(self, moment: float, late: int) -> None:
        await trio.sleep(max(0.0, moment))
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        self.was_stopped = await self.host.cancel(POOL, TASK)
        self.acknowledged = len(self.events)

    async def run(self, moment: float, late: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read)
            nursery.start_soon(self.cancel, moment, late)


@pytest.mark.req("AH-1004", "SSE-1002", "ADAPT-3010")
@pytest.mark.parametrize(("moment", "late"), MOMENTS)
async def test_no_token_after_the_acknowledgement(
    autojump_clock: trio.testing.MockClock, moment: float, late: int
) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", "b", "c", gap_s=GAP)])
    race = Race(bench(adapter).host)
    await race.run(moment, late)
    assert race.acknowledged is not None
    if race.was_stopped:
        assert not [event for event in race.events[race.acknowledged :] if isinstance(event, Token)]
    _assert_whole(race.events, was_stopped=race.was_stopped)
    assert not adapter.live


@pytest.mark.req("AH-1004", "AH-1004a")
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    "rest",
    [
        [WorkerReset("the connection was closed")],
        [ValueError("closed under me")],
        [],
        [Token("late", 7)],
        [End(tokens_out=9, decode_time_ms=9)],
    ],
    ids=["resets", "raises", "stops", "goes on", "ends"],
)
async def test_nothing_but_the_canceled_end_passes_a_seal(after: int, rest: Sequence[Step]) -> None:
    stream = HostedStream(Script([*answer("a", "b")[:after], *rest]), mask, lambda _: None)
    events = [await anext(stream) for _ in range(after)]
    assert stream.seal()
    assert not stream.seal()
    events += [event async for event in stream]
    _assert_whole(events, was_stopped=True)
    assert [event.kind for event in events[after:]] == (["end"] if after else ["started", "end"])


@pytest.mark.req("AH-1004", "ADAPT-3101b")
async def test_a_stream_sealed_while_the_engine_starts_begins_with_its_started(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stream = HostedStream(Script([1.0, *answer("a")]), mask, lambda _: None)
    events: list[TokenEvent] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_to, stream, events)
        await trio.sleep(0.5)
        assert stream.seal()
    assert events[0] == Started(engine_version="1.0")
    _assert_whole(events, was_stopped=True)


@pytest.mark.req("AH-1004")
async def test_a_finished_or_unknown_task_is_left_alone(autojump_clock: trio.testing.MockClock) -> None:
    adapter = ScriptedAdapter()
    rig = bench(adapter)
    assert not await rig.host.cancel(POOL, TASK)
    async with rig.host.submit(POOL, request()) as stream:
        events = [event async for event in stream]
        assert not await rig.host.cancel(POOL, TASK)
    assert not await rig.host.cancel(POOL, TASK)
    assert isinstance(events[-1], End)
    assert not events[-1].canceled


@pytest.mark.req("AH-1004", "SSE-1002e")
@pytest.mark.parametrize("steps", [[1000.0], [CHECKPOINTS(3), 1000.0]])
async def test_a_hung_adapter_delays_the_acknowledgement_by_its_bound_only(
    autojump_clock: trio.testing.MockClock, steps: Sequence[Step]
) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", "b", gap_s=GAP)], cancel_steps=steps)
    race = Race(bench(adapter).host)
    with trio.fail_after(10):
        await race.run(GAP, 0)
    assert race.was_stopped
    _assert_whole(race.events, was_stopped=True)
    assert trio.current_time() <= GAP + CANCEL_BOUND_S


@pytest.mark.req("AH-1004")
async def test_stopping_one_stream_leaves_the_others_alone(autojump_clock: trio.testing.MockClock) -> None:
    rig = bench(ScriptedAdapter(streams=[answer("a", "b", gap_s=GAP)]))
    seen: dict[str, list[str]] = {}

    async def read(name: str) -> None:
        events = await rig.collect(request(name))
        seen[name] = [event.kind for event in events]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, "task")
        nursery.start_soon(read, "other")
        await trio.sleep(GAP + TICK)
        await rig.host.cancel(POOL, TASK)
    assert seen == {"task": ["started", "token", "end"], "other": ["started", "token", "token", "end"]}


@pytest.mark.req("AH-1004", "ORCH-3604")
async def test_the_last_note_says_that_the_task_was_stopped(autojump_clock: trio.testing.MockClock) -> None:
    rig = bench(ScriptedAdapter(streams=[answer("a", "b", gap_s=GAP)]))
    race = Race(rig.host)
    await race.run(GAP + TICK, 0)
    assert rig.actions == ["submit", "stream_start", "cancel"]


def _assert_whole(events: Sequence[TokenEvent], *, was_stopped: bool) -> None:
    order = FrameOrder()
    for event in events:
        order.accept(event)
    last = events[-1]
    assert isinstance(last, End)
    assert last.canceled == was_stopped
    assert last.tokens_out == order.tokens
