"""Two ends at one instant: the engine dies, falls silent or meets a deadline as its end marker comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.check import Scene, each, joined
from conformance.engines.script import Accept, Fail, Finish, Pause, Script, Text
from conformance.reading import Plan
from conformance.times import STEP_S, TICK_S

from .scripts import FIRST_TOKEN_AT_S, WORDS, Moment, steady

if TYPE_CHECKING:
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.transcript import Frame

_ALL = "".join(WORDS)
_LAST_WORD_AT_S = FIRST_TOKEN_AT_S + 2 * STEP_S
_DEADLINE_MS = round(1000 * (_LAST_WORD_AT_S + STEP_S))  # whole, as a step is 125 ms
_IN_ONE_TICK = steady(WORDS[:-1], Text(WORDS[-1]), Finish())
"""The engine says its last word and ends in the same tick."""


def _expect_one(lab: Lab, reading: Reading) -> None:
    """An answer that ends well is whole; the oracle has seen to it that there is one end."""
    is_right = reading.end is None or reading.text == _ALL
    expected = f"`end` after {_ALL!r} only"
    lab.expect("FRM-13", is_right, expected, f"`end` after {reading.text!r}", *reading.frames[-1:])


async def ends_as_the_engine_dies(lab: Lab, moment: Moment) -> None:
    """End the engine's process near the instant of its end marker."""
    async with lab.open(_IN_ONE_TICK) as bench:
        reading = bench.start()
        await lab.until(moment.at_s, moment.checkpoints)
        bench.rig.stop()
        await reading.over.wait()
        _expect_one(lab, reading)


async def dies_as_it_is_read(lab: Lab, kind: str) -> None:
    """End the engine's process while the consumer holds the first event of this kind, or the last token."""
    async with lab.open(_IN_ONE_TICK) as bench:

        async def stop(frame: Frame) -> None:  # noqa: RUF029, ASYNC124 - a plan awaits what it does
            if frame.kind == kind and frame.data.get("i", len(WORDS) - 1) == len(WORDS) - 1:
                bench.rig.stop()

        _expect_one(lab, await bench.read(plan=Plan(at_frame=stop)))


async def ends_as_the_batch_dies(lab: Lab, ticks: int) -> None:
    """Let a request fail with its whole batch, so many ticks from the end marker of another."""
    at_s = _LAST_WORD_AT_S + ticks * TICK_S
    doomed = Script.of(Accept(), Text("?"), Pause(at_s), Fail(500, "server_error", "broken", True, True))
    async with lab.open(_IN_ONE_TICK, doomed) as bench:
        reading, other = bench.start(), bench.start()
        await other.over.wait()
        await reading.over.wait()
        _expect_one(lab, reading)


async def ends_at_its_deadline(lab: Lab, ticks: int) -> None:
    """Let the deadline of the request pass so many ticks from the end marker."""
    script = steady(WORDS[:-1], Pause(STEP_S + ticks * TICK_S), Text(WORDS[-1]), Finish())
    async with lab.open(script) as bench:
        lab.given.append(f"a deadline of {_DEADLINE_MS} ms")
        _expect_one(lab, await bench.read(bench.request(deadline_ms=_DEADLINE_MS)))


async def ends_as_time_runs_out(lab: Lab, ticks: int) -> None:
    """Let the bound on silence pass so many ticks from the end marker."""
    script = Script.of(Accept(), *map(Text, WORDS), Pause(STEP_S + ticks * TICK_S), Finish())
    async with lab.open(script, idle_s=STEP_S) as bench:
        _expect_one(lab, await bench.read())


async def runs_out_as_it_is_read(lab: Lab, deadline_ms: int | None) -> None:
    """Let the deadline, or else the bound on silence, pass while the consumer holds the `end`."""

    async def wait(frame: Frame) -> None:
        if frame.kind == "end":
            await trio.sleep(4 * STEP_S)

    async with lab.open(_IN_ONE_TICK, idle_s=2 * STEP_S) as bench:
        _expect_one(lab, await bench.read(bench.request(deadline_ms=deadline_ms), Plan(at_frame=wait)))


def _deaths() -> dict[str, Moment]:
    instants = {"token": _LAST_WORD_AT_S - STEP_S, "end": _LAST_WORD_AT_S}
    found: dict[str, Moment] = {}
    for name, at_s in instants.items():
        found |= {f"{name}-before": Moment(at_s - TICK_S), f"{name}-after": Moment(at_s + TICK_S)}
        found |= {f"{name}-tie+{extra}": Moment(at_s, extra) for extra in range(6)}
    return found


_TICKS = {"before": -1, "tie": 0, "after": 1}
TIED_ENDS = Scene(
    name="tied-ends",
    how="The engine dies, fails with its batch, falls silent or meets the deadline a tick before, at, and a tick after "
    "its end marker, up to five checkpoints later, and while the consumer holds the last event.",
    cases=joined(
        each(ends_as_the_engine_dies, {f"death-{name}": moment for name, moment in _deaths().items()}),
        each(dies_as_it_is_read, {f"death-in-{kind}": kind for kind in ("token", "end")}),
        each(ends_as_the_batch_dies, {f"batch-{name}": ticks for name, ticks in _TICKS.items()}),
        each(ends_at_its_deadline, {f"deadline-{name}": ticks for name, ticks in _TICKS.items()}),
        each(ends_as_time_runs_out, {f"silence-{name}": ticks for name, ticks in _TICKS.items()}),
        each(runs_out_as_it_is_read, {"deadline-in-end": _DEADLINE_MS, "silence-in-end": None}),
    ),
)
