"""Measures, in virtual time, what a cancel costs in each phase of a request: for the caller, the stream, the engine.

It plays scenes of its own to one subject, under several schedules, and keeps the longest of each time. The times are
those of the adapter and of the double of its engine: real engines take their own time, which is measured elsewhere.
Whether the times are allowed is not judged here but in the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import trio

from conformance.check import Case, Scene
from conformance.checks.scripts import FINISH_AT_S, FIRST_TOKEN_AT_S, WORDS, stalls_after, steady
from conformance.engines.script import Stall
from conformance.reading import Plan
from conformance.runner import play_case
from conformance.times import RELEASE_BOUND_S, STEP_S, TICK_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conformance.bench import Bench
    from conformance.engines.script import Script
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.subject import Subject
    from specs import Specification

    Act = Callable[[Bench, Reading], Awaitable[None]]

_SEEDS = 4  # schedules that each phase is measured under


class Cost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The longest of each time, in virtual ms: until the call has returned, the stream is left, the engine is idle.

    None for what does not happen: nothing is called, or the engine is still at work in the end.
    """

    returned_ms: float | None
    left_ms: float
    released_ms: float | None


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phase -> what a cancel costs in it, for one adapter; a phase that could not be played is left out."""

    adapter: str
    cancel_mode: str
    phases: Mapping[str, Cost]


@dataclass(frozen=True, slots=True)
class _Phase:
    """What the engine plays, when the cancel comes, and how it comes."""

    script: Script
    at_s: float
    act: Act
    plan: Plan | None = None


async def _cancel(bench: Bench, reading: Reading) -> None:
    await bench.cancel(reading.request.task_id)


async def _abandon(_bench: Bench, reading: Reading) -> None:
    reading.abandon()
    await trio.lowlevel.checkpoint()


PHASES: Mapping[str, _Phase] = {
    "before the engine answers": _Phase(stalls_after(0), FINISH_AT_S, _cancel),
    "while it reads the prompt": _Phase(stalls_after(1), FINISH_AT_S, _cancel),
    "while tokens come": _Phase(steady(), FIRST_TOKEN_AT_S + STEP_S / 2, _cancel),
    "in silence after tokens": _Phase(stalls_after(3), FINISH_AT_S, _cancel),
    "while nobody reads": _Phase(steady(WORDS, Stall()), FINISH_AT_S + STEP_S, _cancel, Plan(pause_after=2)),
    "by leaving, while it reads the prompt": _Phase(stalls_after(1), FINISH_AT_S, _abandon),
    "by leaving, while tokens come": _Phase(steady(), FIRST_TOKEN_AT_S + STEP_S / 2, _abandon),
}
"""Phase -> how it is played, in the order of a request's life."""


def measure(subject: Subject, spec: Specification) -> Costs:
    """Return what a cancel costs with this subject; raise `RuntimeError` if the kit breaks."""
    seen: dict[str, list[Cost]] = {}
    modes: list[str] = []
    for name, phase in PHASES.items():
        for seed in range(_SEEDS):
            _play_one(subject, spec, name, partial(_measure, phase, seen.setdefault(name, []), modes), seed)
    phases = {name: _longest(costs) for name, costs in seen.items() if costs}
    return Costs(adapter=subject.name, cancel_mode=modes[0], phases=phases)


def _play_one(
    subject: Subject, spec: Specification, name: str, play: Callable[[Lab], Awaitable[None]], seed: int
) -> None:
    case = Case(name, play)
    scene = Scene(name="cancellation", how="", cases=lambda _subject, _spec: (case,))
    played = play_case(subject, scene, case, spec, seed)
    if played.kit_error is not None:
        raise RuntimeError(f"{subject.name}, {name}: {played.kit_error}")


async def _measure(phase: _Phase, costs: list[Cost], modes: list[str], lab: Lab) -> None:
    async with lab.open(phase.script) as bench:
        modes.append(bench.rig.adapter.cancel_support.mode)
        reading = bench.start(plan=phase.plan)
        await lab.until(phase.at_s)
        since_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            left, released = _Stopwatch(since_s), _Stopwatch(since_s)
            nursery.start_soon(_until_left, reading, left)
            nursery.start_soon(_until_released, bench, released)
            await phase.act(bench, reading)
            returned_ms = (trio.current_time() - since_s) * 1000 if phase.act is _cancel else None
            reading.go_on.set()
        costs.append(Cost(returned_ms=returned_ms, left_ms=left.took_ms or 0.0, released_ms=released.took_ms))


class _Stopwatch:
    def __init__(self, since_s: float) -> None:
        self._since_s = since_s
        self.took_ms: float | None = None

    def stop(self) -> None:
        self.took_ms = (trio.current_time() - self._since_s) * 1000


async def _until_left(reading: Reading, watch: _Stopwatch) -> None:
    await reading.over.wait()
    watch.stop()


async def _until_released(bench: Bench, watch: _Stopwatch) -> None:
    """Look at the engine every tick of virtual time: it has nothing that could be waited for."""
    await bench.lab.settle()
    for _ in range(int(RELEASE_BOUND_S / TICK_S)):
        if not bench.facts.live:
            watch.stop()
            return
        await trio.sleep(TICK_S)


def _longest(costs: list[Cost]) -> Cost:
    returned = [cost.returned_ms for cost in costs if cost.returned_ms is not None]
    released = [cost.released_ms for cost in costs if cost.released_ms is not None]
    return Cost(
        returned_ms=max(returned, default=None),
        left_ms=max(cost.left_ms for cost in costs),
        released_ms=max(released) if len(released) == len(costs) else None,
    )
