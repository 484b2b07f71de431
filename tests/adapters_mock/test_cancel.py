"""Cancel: nothing but the end follows, and the slot is free at once."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapter_api import CancelMode, End, FrameOrder, TaskId, Token, TokenEvent

from .support import Steps, collect, open_mock, request, wait_until

TASK = TaskId("task")
SCRIPT: Steps = [
    {"do": "pause", "ms": 125}, {"do": "started"}, {"do": "pause", "ms": 250},
    *({"do": what, **more} for _ in range(3) for what, more in (("token", {"text": "x"}), ("pause", {"ms": 125}))),
    {"do": "end"},
]  # fmt: skip


@pytest.mark.req("AH-1004", "ADAPT-3101")
@given(eighths=st.integers(0, 8), ticks=st.integers(-1, 1), checkpoints=st.integers(0, 4), rm=st.random_module())
def test_after_a_cancel_only_the_end_follows(eighths: int, ticks: int, checkpoints: int, rm: object) -> None:
    """The cancel is aimed at the very instants at which the engine does something."""

    async def run() -> None:
        acknowledged = False
        late: list[TokenEvent] = []
        seen: list[TokenEvent] = []

        async def cancel() -> None:
            nonlocal acknowledged
            await wait_until(max(0.0, eighths / 8 + ticks / 1024))
            for _ in range(checkpoints):
                await trio.lowlevel.checkpoint()
            await adapter.cancel(TASK)
            acknowledged = True
            assert adapter.facts.live == ()
            assert (await adapter.props()).slots_free == 1

        async with (
            open_mock(script=SCRIPT, slots=1) as adapter,
            adapter.submit(request()) as events,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(cancel)
            async for event in events:
                (late if acknowledged and isinstance(event, Token) else seen).append(event)
        assert not late
        order = FrameOrder()
        for event in seen:
            order.accept(event)
        assert order.is_done
        end = seen[-1]
        assert isinstance(end, End)
        assert end.canceled == (adapter.facts.canceled == (TASK,))

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_a_reader_that_is_blocked_wakes_at_once(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(script=[{"do": "started"}, {"do": "stall"}]) as adapter, trio.open_nursery() as nursery:
        start = trio.current_time()
        async with adapter.submit(request()) as events:
            await anext(events)
            nursery.start_soon(adapter.cancel, TASK)
            end = await anext(events)
        assert isinstance(end, End)
        assert end.canceled
        assert trio.current_time() == start


async def test_a_task_in_line_leaves_the_line_and_still_begins_with_started(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(tokens_per_second=1, slots=1) as adapter, adapter.submit(request("first")) as first:
        await anext(first)
        async with adapter.submit(request()) as events, trio.open_nursery() as nursery:
            seen: list[TokenEvent] = []

            async def read() -> None:
                seen.extend([event async for event in events])

            nursery.start_soon(read)
            await trio.sleep(0.5)
            assert (await adapter.props()).queue_depth == 1
            await adapter.cancel(TASK)
        assert [event.kind for event in seen] == ["started", "end"]
        props = await adapter.props()
        assert (props.queue_depth, props.slots_free) == (0, 0)
    assert (await adapter.props()).slots_free == 1


async def test_unknown_finished_and_repeated_ids_are_no_error(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock() as adapter:
        await adapter.cancel(TaskId("nobody"))
        async with adapter.submit(request()) as events:
            for _ in range(3):
                await adapter.cancel(TASK)
            assert [event.kind async for event in events] == ["started", "end"]
        await adapter.cancel(TASK)
        assert adapter.facts.canceled == (TASK,)
        assert adapter.cancel_support.mode is CancelMode.ABORT


@given(eighths=st.integers(0, 6), ticks=st.integers(-1, 1), rm=st.random_module())
def test_a_reader_that_leaves_frees_the_slot(eighths: int, ticks: int, rm: object) -> None:
    async def run() -> None:
        async with open_mock(script=SCRIPT, slots=1) as adapter:
            with trio.move_on_after(max(0.0, eighths / 8 + ticks / 1024)):
                await collect(adapter, request())
            assert adapter.facts.live == ()
            assert (await adapter.props()).slots_free == 1

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_the_next_in_line_gets_the_slot_that_a_cancel_frees(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(tokens_per_second=1, slots=1) as adapter, trio.open_nursery() as nursery:
        ends: list[str] = []

        async def take(task_id: str) -> None:
            await collect(adapter, request(task_id, max_tokens=2))
            ends.append(task_id)

        async with adapter.submit(request()) as events:
            await anext(events)
            nursery.start_soon(take, "next")
            await trio.sleep(0.5)
            await adapter.cancel(TASK)
            await trio.sleep(3)
            assert ends == ["next"]


async def test_a_cancel_in_the_tick_that_hands_over_the_slot_does_not_keep_it(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with open_mock(tokens_per_second=1, slots=1) as adapter, trio.open_nursery() as nursery:
        async with adapter.submit(request("first")) as first:
            await anext(first)
            waiting = adapter.submit(request())
            events = await waiting.__aenter__()
            nursery.start_soon(anext, events)
            await trio.testing.wait_all_tasks_blocked()
        adapter.engine.abort(TASK)  # before the reader, who was just handed the slot, has run
        await trio.testing.wait_all_tasks_blocked()
        assert (await adapter.props()).slots_free == 1
        await waiting.__aexit__(None, None, None)


@pytest.mark.req("ADAPT-3000g")
async def test_a_second_task_that_reads_is_turned_away_and_costs_nothing(autojump_clock: trio.abc.Clock) -> None:
    given: list[TokenEvent] = []

    async def read() -> None:
        given.extend([event async for event in events])

    async with (
        open_mock(script=SCRIPT) as adapter,
        adapter.submit(request()) as events,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await anext(events)
    assert [event.kind for event in given] == ["started", "token", "token", "token", "end"]
