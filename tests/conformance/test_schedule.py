"""The seed decides Trio's schedule: a copy of Trio's own test of its switch, and that we leave no trace."""

from __future__ import annotations

import random

import pytest
import trio
from trio._core import _run

from conformance.schedule import seeded


def schedule(seed: int) -> tuple[int, ...]:
    seen: list[int] = []

    async def step(name: int) -> None:
        for _ in range(8):
            seen.append(name)
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for name in range(5):
                nursery.start_soon(step, name)

    with seeded(seed):
        trio.run(main)
    return tuple(seen)


def test_one_seed_one_schedule_and_other_seeds_others() -> None:
    schedules = [schedule(seed) for seed in range(8)]
    assert schedules == [schedule(seed) for seed in range(8)]
    assert len(set(schedules)) == 8


@pytest.mark.parametrize("flag", [False, True])
def test_trio_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch, flag: bool) -> None:
    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", flag)
    monkeypatch.setattr(_run, "_r", random.Random(5))
    before = _run._r.getstate()
    schedule(3)
    assert flag is _run._ALLOW_DETERMINISTIC_SCHEDULING
    assert _run._r.getstate() == before
