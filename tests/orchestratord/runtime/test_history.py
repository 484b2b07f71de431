"""What is remembered of tasks that are over, and what is forgotten first."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from orchestratord.core.task import CancelReason
from orchestratord.runtime.framelog import FrameLog
from orchestratord.runtime.history import History
from orchestratord.runtime.task import Task
from tests.support.service_rig import POOL, new_order, rig_config


def new_history(**limits: object) -> History:
    return History(rig_config(history={"max_tasks": 100, **limits}).history)


def over(history: History, size: int = 100) -> Task:
    """Let a task of about this many bytes come and end."""
    log = FrameLog(ahead=8, max_bytes=1 << 30)
    task = Task(order=new_order(), pool_id=POOL, log=log, admitted_at=trio.current_time(), facts={})
    history.add(task)
    task.publish("metrics", {"x": "x" * size})
    task.cancel(CancelReason.CLIENT)
    history.conclude(task)
    return task


def remembers(history: History, task: Task) -> bool:
    return history.get(task.task_id, trio.current_time()) is task


async def test_a_living_task_is_never_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    history = new_history(max_tasks=0, ttl_ms=0, max_bytes=0)
    log = FrameLog(ahead=8, max_bytes=1 << 20)
    task = Task(order=new_order(), pool_id=POOL, log=log, admitted_at=0.0, facts={})
    history.add(task)
    await trio.sleep(10**6)
    assert remembers(history, task)
    assert history.live == [task]


async def test_the_oldest_goes_first_by_count() -> None:  # noqa: ASYNC124 - reads Trio's clock
    history = new_history(max_tasks=2)
    tasks = [over(history) for _ in range(3)]
    assert [remembers(history, task) for task in tasks] == [False, True, True]
    assert len(history) == 2


async def test_the_oldest_goes_first_by_bytes() -> None:  # noqa: ASYNC124 - reads Trio's clock
    history = new_history(max_bytes=5000)
    first, second = over(history, 2000), over(history, 2000)
    assert remembers(history, first)
    third = over(history, 2000)
    assert [remembers(history, task) for task in (first, second, third)] == [False, True, True]
    assert not remembers(history, over(history, 6000))
    assert len(history) == 0


async def test_a_task_is_kept_for_its_time_and_no_longer(autojump_clock: trio.testing.MockClock) -> None:
    history = new_history(ttl_ms=4000)
    first = over(history)
    await trio.sleep(1)
    second = over(history)
    await trio.sleep(3 - 2**-10)
    assert remembers(history, first)
    await trio.sleep(2**-10)
    assert not remembers(history, first)
    assert remembers(history, second)


async def test_concluding_twice_or_a_stranger_counts_once() -> None:  # noqa: ASYNC124 - reads Trio's clock
    history = new_history()
    task = over(history)
    history.conclude(task)
    assert len(history) == 1
    assert history._over_bytes == task.log.size


@given(sizes=st.lists(st.integers(1, 2000), max_size=20), max_tasks=st.integers(0, 5), max_bytes=st.integers(0, 5000))
def test_the_limits_hold_and_the_books_balance(sizes: list[int], max_tasks: int, max_bytes: int) -> None:
    async def main() -> None:  # noqa: ASYNC124 - reads Trio's clock
        history = new_history(max_tasks=max_tasks, max_bytes=max_bytes)
        for size in sizes:
            over(history, size)
            kept = list(history._over.values())
            assert len(kept) <= max_tasks
            assert history._over_bytes == sum(task.log.size for task in kept) <= max_bytes
        assert history.live == []

    trio.run(main)


pytestmark = pytest.mark.req("OC-CTRL-2010b")
