"""Everything at once in an order that the seed decides, and requests one after the other for long."""

from __future__ import annotations

import gc
import logging
import math
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import trio

from adapter_api import EventKind, TaskId, TaskRequest, WorkerError
from conformance.check import Case, Check, Group, Level, Scene, one
from conformance.engines.script import Accept, Cut, Fail, Reset, Script, Stall, Text
from conformance.findings import Finding, NotApplicable, Stop
from conformance.reading import Plan
from conformance.times import RELEASE_BOUND_S, STEP_S

from .scripts import quick, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from random import Random

    from adapter_api import WorkerAdapter
    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.subject import Subject
    from specs import Specification

_SLOTS = 3
_ACTORS = 10
_STORMS = 10
_STORM_S = 25.0
"""Longest time that a storm may take: longer than the bounds of all its requests add up to."""
_FIRST_TOKEN_S = 2.0
_IDLE_S = 0.5
_FAILS = Fail(500, "server_error", "broken", in_stream=True)
_ENDINGS = (
    steady(),
    steady(),
    quick("at", " once"),
    Script.of(_FAILS),
    Script.of(Accept(), Text("One"), _FAILS),
    Script.of(Accept(), Text("One"), Cut(clean=False)),
    Script.of(Accept(), Text("One"), Reset()),
    Script.of(Stall()),
    Script.of(Accept(), Text("One"), Stall()),
)
_WAYS = ("read", "read", "cancel", "cancel", "leave", "abandon")
_ASKS = ("health", "props", "capabilities", "engine_version", "unknown")


@dataclass(frozen=True, slots=True)
class _Act:
    """What one task of a storm does after `wait_s`: submit and go one of `_WAYS`, or call one of `_ASKS`.

    What comes of a stream comes `then_s` later, and so many checkpoints.
    """

    what: str
    wait_s: float
    then_s: float
    checkpoints: int


def _drawn(random: Random) -> _Act:
    return _Act(
        what=random.choice((*_WAYS, random.choice(_ASKS))),
        wait_s=random.randrange(12) * STEP_S / 2,
        then_s=random.choice((0, 0, 1, 2, 3, 5, 8)) * STEP_S / 2,
        checkpoints=random.randrange(4),
    )


async def a_storm_passes(lab: Lab) -> None:
    """Submit, cancel, leave and ask in many tasks at once."""
    scripts = [lab.random.choice(_ENDINGS) for _ in range(_ACTORS)]
    acts = [[_drawn(lab.random) for _ in range(2)] for _ in range(_ACTORS)]
    lab.given.append(f"{_ACTORS} tasks that submit, cancel, leave and ask at instants that the seed decides")
    readings: list[tuple[_Act, Reading]] = []
    async with lab.open(*scripts, steady(), slots=_SLOTS, first_token_s=_FIRST_TOKEN_S, idle_s=_IDLE_S) as bench:
        with trio.move_on_after(_STORM_S) as patience:
            async with trio.open_nursery() as nursery:
                for mine in acts:
                    nursery.start_soon(_perform, lab, bench, mine, readings)
        hanging = [reading.who for _, reading in readings if not reading.over.is_set()]
        actual = f"after {_STORM_S:g} s there still hung: {', '.join(hanging) or 'a call'}"
        if lab.expect("CON-06", not patience.cancelled_caught, "the storm to pass", actual):
            await _is_calm(lab, bench, readings)
        else:
            bench.stop_reading()


async def _perform(lab: Lab, bench: Bench, acts: list[_Act], readings: list[tuple[_Act, Reading]]) -> None:
    for act in acts:
        await trio.sleep(act.wait_s)
        try:
            await _do(lab, bench, act, readings)
        except Stop:
            lab.find(Finding("CON-06", f"{act.what} to come back in a storm", "it did not, or raised what it may not"))
            raise


async def _do(lab: Lab, bench: Bench, act: _Act, readings: list[tuple[_Act, Reading]]) -> None:
    if act.what in _WAYS:
        reading = bench.start(plan=Plan(leave_after=1 + act.checkpoints) if act.what == "leave" else None)
        readings.append((act, reading))
        await _go_on(lab, bench, act, reading)
        await reading.over.wait()
    elif act.what == "unknown":
        await bench.cancel(TaskId("never-submitted"))
    else:
        with suppress(WorkerError):
            await _asked(bench, act.what)


async def _go_on(lab: Lab, bench: Bench, act: _Act, reading: Reading) -> None:
    if act.what in {"cancel", "abandon"}:
        await trio.sleep(act.then_s)
        await lab.until(0, act.checkpoints)
        if act.what == "cancel":
            await bench.cancel(reading.request.task_id)
        else:
            reading.abandon()


def _asked(bench: Bench, what: str) -> Awaitable[object]:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "health": bench.health,
        "props": bench.props,
        "capabilities": bench.capabilities,
        "engine_version": bench.engine_version,
    }
    return calls[what]()


async def _is_calm(lab: Lab, bench: Bench, readings: list[tuple[_Act, Reading]]) -> None:
    for act, reading in readings:
        ended = [frame for frame in reading.frames if frame.kind in {"end", "error"}]
        is_right = len(ended) == 1 or (not ended and act.what in {"leave", "abandon"})
        lab.expect("CON-06", is_right, f"one ending for {reading.who}", f"{len(ended)} of them", *ended)
    await trio.sleep(RELEASE_BOUND_S)
    live = bench.facts.live
    lab.expect("CON-06", live == 0, "an engine without work", f"it still works on {live} request(s)")
    after = [bench.start() for _ in range(_SLOTS)]
    with trio.move_on_after(_STORM_S):
        for reading in after:
            await reading.over.wait()
    for reading in after:
        actual = f"{reading.who} got {reading.text!r} and {reading.last.what if reading.last else 'nothing'}"
        is_whole = reading.end is not None and not reading.end.canceled
        lab.expect("CON-06", is_whole, f"{_SLOTS} requests at once to be served after the storm", actual)
    await _are_side_by_side(lab, bench, after)
    bench.stop_reading()


async def _are_side_by_side(lab: Lab, bench: Bench, readings: list[Reading]) -> None:
    declared = (await bench.capabilities()).concurrency
    if declared is not None and declared < _SLOTS:
        return
    first_end = min((reading.left.at_s for reading in readings if reading.left), default=0)
    late = [reading.who for reading in readings if not reading.frames or reading.frames[0].at_s >= first_end]
    actual = f"{', '.join(late)} began when another was over"
    lab.expect("CON-06", not late, f"all {_SLOTS} slots to be there after the storm", actual)


_WARM_UP = 14
_WINDOW = 28
_WINDOWS = 2
_MUCH = 0.5
"""Objects and entries that a request may leave behind on average: some remember for a while who was canceled."""
_TABLES = frozenset({list, dict, set, deque})
_REST_S = 60.0
_TRIO_KEEPS = 1100
_ROUND = (
    quick("One", " two"),
    Script.of(Accept(), Text("One"), _FAILS),
    Script.of(Fail(503, "unavailable_error", "busy")),
    Script.of(Accept(), Text("One"), Reset()),
    steady(),
    steady(),
    steady(),
)


async def memory_stays_flat(lab: Lab) -> None:
    """Make requests that end in every way, one after the other, and count what is alive after each window of them."""
    count = _WARM_UP + _WINDOW * _WINDOWS
    scripts = [_ROUND[number % len(_ROUND)] for number in range(count)]
    async with lab.open(*scripts) as bench:
        lab.given[:] = [f"{count} requests that complete, fail, are refused, reset, canceled, abandoned and left"]
        forget = bench.rig.forget
        if forget is None:
            raise NotApplicable("the engine of this subject cannot be made to forget, so memory cannot be told apart")
        alive: list[int] = []
        with _silence():
            for number in range(count):
                if number >= _WARM_UP and (number - _WARM_UP) % _WINDOW == 0:
                    alive.append(await _alive(forget))
                await _one_of_many(bench.rig.adapter, number)
            alive.append(await _alive(forget))
        grown = min((later - earlier) / _WINDOW for earlier, later in pairwise(alive))
        actual = f"each leaves about {2 ** round(math.log2(max(grown, 1)))} object(s) behind"
        lab.expect("LEA-05", grown < _MUCH, "nothing to stay of requests that are over", actual)


async def _alive(forget: Callable[[], None]) -> int:
    """Return how many objects there are and what they hold, without the deadlines that Trio keeps for a while."""
    for _ in range(_TRIO_KEEPS):
        with trio.move_on_after(_REST_S):  # noqa: ASYNC100 - Trio drops those that were not met when there are too many
            pass
    await trio.sleep(STEP_S)
    await trio.sleep(_REST_S)
    forget()
    gc.collect()
    objects = gc.get_objects()
    return len(objects) + sum(len(each) for each in objects if type(each) in _TABLES)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep no logs meanwhile: the kit's own memory of them would grow."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


async def _one_of_many(adapter: WorkerAdapter, number: int) -> None:
    request = TaskRequest(task_id=TaskId(f"many-{number}"), prompt=f"Count to {number}.", max_tokens=64, seed=1)
    how = number % len(_ROUND)
    with trio.move_on_after(4.5 * STEP_S if how == 5 else _STORM_S), suppress(WorkerError):
        async with adapter.submit(request) as events:
            async for event in events:
                if event.kind is EventKind.TOKEN and how == 4:
                    await adapter.cancel(request.task_id)
                if event.kind is EventKind.TOKEN and how == 6:
                    break
    await trio.sleep(RELEASE_BOUND_S)


def _in_many_orders(_subject: Subject, _spec: Specification) -> Iterator[Case]:
    yield Case("mixed", a_storm_passes, seeds=_STORMS)


CHECKS = (
    Check(
        id="CON-06",
        title="a storm of everything at once passes, and each submit ends once",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3000e", "ADAPT-3010", "ADAPT-3101f"),
        scenes=(
            Scene(
                name="storm",
                how="Ten tasks submit, cancel, leave, are cancelled and ask, in an order that the seed decides.",
                cases=_in_many_orders,
            ),
        ),
        causes=(
            "two locks taken in different orders",
            "a slot that is lost when its taker is cancelled while it waits",
        ),
    ),
    Check(
        id="LEA-05",
        title="nothing stays of requests that are over",
        group=Group.LEAKS,
        level=Level.SHOULD,
        requirements=("ADAPT-3101i",),
        scenes=(
            Scene(
                name="many",
                how="Requests that end in seven ways, one after the other; what is alive is counted in two windows.",
                cases=one(memory_stays_flat),
            ),
        ),
        causes=("a table of requests, or of canceled ids, that only grows", "errors kept with their tracebacks"),
    ),
)
