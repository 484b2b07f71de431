"""Many requests at once: as many as the engine is said to take, and more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import PoolUnavailable
from conformance.check import Check, Group, Scene, each, joined
from conformance.engines.script import Accept, Cut, Fail, Reset, Script, Text
from conformance.times import RELEASE_BOUND_S, STEP_S

from . import storms
from .scripts import FINISH_AT_S, WORDS, steady

if TYPE_CHECKING:
    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading

_SLOTS = 3
_MOST = 16
"""How many of what is declared are tried."""


async def as_many_as_declared(lab: Lab, more: int) -> None:
    """Submit as many at once as are declared, and some more; the declared ones are served as if they were alone."""
    async with lab.open(steady(), slots=_SLOTS) as bench:
        count = await _declared(lab, bench)
        readings = await _at_once(lab, bench, max(count, _SLOTS) + more)
        _expect_served(lab, readings[:count])
        for reading in readings[count:]:
            _expect_waited_or_refused(lab, reading)


async def one_beyond_moves_up(lab: Lab, is_canceled: bool) -> None:
    """Cancel one that runs while another waits behind it, or the one that waits."""
    async with lab.open(steady(), slots=_SLOTS) as bench:
        count = await _declared(lab, bench)
        who = "one that waits behind them" if is_canceled else "the first of them"
        lab.given.append(f"as many submits at once, and one more; then cancel() of {who}")
        readings = [await _started(lab, bench) for _ in range(max(count, _SLOTS) + 1)]
        await lab.until(STEP_S / 2)
        victim = readings[-1 if is_canceled else 0]
        await bench.cancel(victim.request.task_id)
        for reading in readings:
            await reading.over.wait()
        _expect_served(lab, [reading for reading in readings[:count] if reading is not victim])
        if not is_canceled:
            _expect_waited_or_refused(lab, readings[-1])


async def room_comes_back(lab: Lab, ending: Script) -> None:
    """Let as many requests as are declared end badly, and submit as many again."""
    async with lab.open(*[ending] * _SLOTS, steady(), slots=_SLOTS) as bench:
        count = min(await _declared(lab, bench), _SLOTS)
        lab.given.append(f"{_SLOTS} requests end badly; then as many again")
        await _at_once(lab, bench, _SLOTS)
        await trio.sleep(RELEASE_BOUND_S)
        again = await _at_once(lab, bench, _SLOTS)
        _expect_served(lab, again[:count])
        for reading in again[count:]:
            _expect_waited_or_refused(lab, reading)


async def _declared(lab: Lab, bench: Bench) -> int:
    """Return how many submits have to be taken; none where the adapter does not know."""
    count = (await bench.capabilities()).concurrency
    lab.given.append(f"concurrency={count} is declared, the engine has {_SLOTS} slots")
    return min(count or 0, _MOST)


async def _at_once(lab: Lab, bench: Bench, count: int) -> list[Reading]:
    readings = [await _started(lab, bench) for _ in range(count)]
    for reading in readings:
        await reading.over.wait()
    return readings


async def _started(lab: Lab, bench: Bench) -> Reading:
    reading = bench.start()
    await lab.settle()  # the n-th request reaches the engine before the next is made
    return reading


def _expect_served(lab: Lab, readings: list[Reading]) -> None:
    for reading in readings:
        actual = f"{reading.who} got {reading.text!r} and {reading.last.what if reading.last else 'nothing'}"
        is_whole = reading.text == "".join(WORDS) and reading.end is not None
        if lab.expect("CON-02", is_whole, "each declared one to be served", actual, *reading.frames[-1:]):
            took_s = reading.frames[-1].at_s - reading.frames[0].at_s
            actual = f"{reading.who} took {took_s:g} s from `started` on"
            lab.expect("CON-02", took_s <= FINISH_AT_S, "no delay by those beyond", actual, reading.frames[-1])


def _expect_waited_or_refused(lab: Lab, reading: Reading) -> None:
    is_served = reading.text == "".join(WORDS) and reading.end is not None
    is_refused = isinstance(reading.error, PoolUnavailable) and reading.error.retriable and not reading.tokens
    actual = f"{reading.who} got {reading.text!r} and {reading.last.what if reading.last else 'nothing'}"
    expected = "one beyond to wait, or PoolUnavailable that may be tried again"
    lab.expect("CON-02", is_served or is_refused, expected, actual, *reading.frames[-1:])


_BADLY = {
    "fail": Script.of(Fail(500, "server_error", "broken")),
    "fail-late": Script.of(Accept(), Text("One"), Fail(500, "server_error", "broken", in_stream=True)),
    "are-cut": Script.of(Accept(), Text("One"), Cut(clean=False)),
    "are-reset": Script.of(Accept(), Reset()),
}
_FULL = Scene(
    name="full-house",
    how="As many submits at once as are declared, one and four more; one of them canceled; as many after failures.",
    cases=joined(
        each(as_many_as_declared, {f"and-{more}-more": more for more in (0, 1, 4)}),
        each(one_beyond_moves_up, {"first-canceled": False, "waiting-canceled": True}),
        each(room_comes_back, {f"all-{name}": script for name, script in _BADLY.items()}),
    ),
)

CHECKS = (
    Check(
        id="CON-02",
        title="as many as are declared are served, and one more waits or is refused",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3012c",),
        scenes=(_FULL,),
        causes=(
            "a limit of the HTTP client below what is declared",
            "a counter that a failed request does not count down",
            "the engine's refusal passed on as a failure",
        ),
    ),
    *storms.CHECKS,
)
