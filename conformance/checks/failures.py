"""Failures beyond the table: kinds and classes, several at one instant, advice on when to come back, endless lines."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from adapter_api import WorkerError
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Fail, Script, Stall, Text
from conformance.findings import Stop
from conformance.times import STEP_S, TICK_S

from .errors import LATE, TABLE
from .everyday import EVERYDAY
from .scripts import FIRST_TOKEN_S, WORDS, Moment, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conformance.lab import Lab
    from conformance.reading import Reading


_DEATH_AT_S = 4 * STEP_S


async def dies_under_all(lab: Lab, moment: Moment) -> None:
    """End the engine's process under three streams while every report is being asked for."""
    async with lab.open(steady(), steady(WORDS[:1]), steady((*WORDS, *WORDS))) as bench:
        readings = [bench.start() for _ in range(3)]
        await lab.until(moment.at_s, moment.checkpoints)
        async with trio.open_nursery() as nursery:
            for ask in (bench.health, bench.props, bench.capabilities, bench.engine_version):
                nursery.start_soon(_ask, ask)
            bench.rig.stop()
        await _expect_single(lab, *readings)


async def _ask(ask: Callable[[], Awaitable[object]]) -> None:
    with suppress(WorkerError, Stop):  # either is noted already
        await ask()


async def fails_twice_at_once(lab: Lab, way: str) -> None:
    """Let a stream fail for two reasons in one tick."""
    at_s = STEP_S if way == "silence" else _DEATH_AT_S
    idle_s = STEP_S if way == "silence" else FIRST_TOKEN_S
    async with lab.open(Script.of(Accept(), Text("One"), Stall()), idle_s=idle_s) as bench:
        deadline_ms = round(1000 * at_s) if way == "deadline" else None
        reading = bench.start(bench.request(deadline_ms=deadline_ms))
        await lab.until(at_s)
        if way == "cancel":
            await bench.cancel(reading.who)
        elif way == "consumer":
            reading.abandon()
        bench.rig.stop()
        await _expect_single(lab, reading)


async def fails_as_a_batch(lab: Lab) -> None:
    """Let the engine's batch die, which is three streams in one tick."""
    failure = Fail(500, "server_error", "broken", in_stream=True, whole_batch=True)
    async with lab.open(steady(), steady(), steady(WORDS[:1], failure)) as bench:
        await _expect_single(lab, *[bench.start() for _ in range(3)])


async def _expect_single(lab: Lab, *readings: Reading) -> None:
    for reading in readings:
        await reading.over.wait()
        ends = [frame for frame in reading.frames if frame.kind in {"end", "error"}]
        is_single = len(ends) <= 1
        lab.expect("ERR-08", is_single, "one WorkerError, whatever failed along with it", f"{len(ends)} ends", *ends)


_INSTANTS = {
    "before": Moment(_DEATH_AT_S - TICK_S),
    "after": Moment(_DEATH_AT_S + TICK_S),
    "prefill": Moment(2 * STEP_S),
    **{f"tie+{extra}": Moment(_DEATH_AT_S, extra) for extra in range(6)},
}
_AT_ONCE = Scene(
    name="failures-at-once",
    how="The engine dies under three streams and four reports, its batch fails, and one stream fails for two reasons "
    "in one tick: death and deadline, silence, cancel, or its consumer's leaving.",
    cases=joined(
        each(dies_under_all, {f"death-{name}": moment for name, moment in _INSTANTS.items()}, 2),
        each(fails_twice_at_once, {f"death-and-{way}": way for way in ("deadline", "silence", "cancel", "consumer")}),
        one(fails_as_a_batch, "batch"),
    ),
)

CHECKS = (
    Check(
        id="ERR-02",
        title="no kind of error but the six, each with its class",
        group=Group.ERRORS,
        requirements=("ADAPT-3002", "ADAPT-3002e"),
        scenes=(EVERYDAY, TABLE, LATE, _AT_ONCE),
        causes=("the engine's own code passed on as the kind", "the base class `WorkerError` raised as it is"),
    ),
    Check(
        id="ERR-08",
        title="failures at one instant become one error",
        group=Group.ERRORS,
        requirements=("ADAPT-3002", "ADAPT-3002a"),
        scenes=(EVERYDAY, _AT_ONCE),
        causes=("an ExceptionGroup from a nursery inside", "`except Exception` around a nursery, which sees a group"),
    ),
)
