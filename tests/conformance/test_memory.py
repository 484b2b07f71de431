"""What is held, as a figure: the same where nothing is kept, and larger by what is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.memory import held

if TYPE_CHECKING:
    from trio.testing import MockClock

_DEADLINES = 700  # fewer than what makes Trio forget them by itself


async def _passing_deadlines() -> None:
    for _ in range(_DEADLINES):
        with trio.move_on_after(1):
            await trio.lowlevel.checkpoint()


async def test_deadlines_that_have_passed_are_not_counted(autojump_clock: MockClock) -> None:
    await held()
    before = await held()
    await _passing_deadlines()
    assert abs(await held() - before) < _DEADLINES // 10


async def test_every_object_that_is_kept_is_counted(autojump_clock: MockClock) -> None:
    await held()
    before = await held()
    kept = [object() for _ in range(1000)]
    growth = await held() - before
    assert 1000 <= growth < 1100
    assert len(kept) == 1000


async def test_rubbish_is_not_counted(autojump_clock: MockClock) -> None:
    await held()
    before = await held()
    for _ in range(1000):
        cycle: list[object] = []
        cycle.append(cycle)
    assert abs(await held() - before) < 100
