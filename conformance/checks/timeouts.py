"""Time bounds: an engine that falls silent does not hold a request for ever."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from adapter_api import DeadlineUnmet, DecodeTimeout, WorkerError
from conformance.check import Case, Check, Group, Scene, each, one
from conformance.engines.script import Accept, Finish, Pause, Script, Stall, Text
from conformance.reading import Plan
from conformance.times import STEP_S, TICK_S

from .corners import LATE_HEAD, LATE_TALK
from .scripts import FIRST_TOKEN_S, IDLE_S, stalls_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.lab import Lab
    from conformance.subject import Fault, Subject
    from specs import Specification

SLACK_S = 0.25
"""How much later than its bound an adapter may act."""
DEADLINE_S = 1.5
"""Deadline of the request; every other bound is later."""
TALK = tuple(step for number in range(64) for step in (Text(f" {number}"), Pause(STEP_S)))


async def silence_ends(lab: Lab, frames: int) -> None:
    """Let the engine fall silent after so many frames; the bound is the first token's or the idle one."""
    if frames == 1:
        lab.need("head")
    bound_s, since_s = (FIRST_TOKEN_S, 0.0) if frames <= 1 else (IDLE_S, frames * STEP_S)
    due_s = since_s + bound_s
    async with lab.open(stalls_after(frames), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = bench.start()
        await lab.until(due_s - TICK_S)
        lab.expect("TMO-01", not reading.over.is_set(), f"patience until t={due_s:g} s", "it gave up before")
        await lab.until(due_s + SLACK_S)
        if not lab.expect("TMO-01", reading.over.is_set(), f"an error by t={due_s + SLACK_S:g} s", "it still waits"):
            reading.abandon()
            return
        error = reading.error
        lab.expect("TMO-01", isinstance(error, WorkerError), "a WorkerError", f"{error!r}")
        if frames:
            lab.expect("TMO-03", isinstance(error, DecodeTimeout), "DecodeTimeout", f"{error!r}", *reading.frames[-1:])


async def each_token_starts_the_clock_again(lab: Lab) -> None:
    """Say a word just before the idle bound, again and again."""
    words = [step for number in range(6) for step in (Pause(IDLE_S - TICK_S), Text(f" {number}"))]
    async with lab.open(Script.of(Accept(), *words, Finish()), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = await bench.read()
        actual = f"it gave {reading.last.what if reading.last else 'nothing'}"
        lab.expect("TMO-02", reading.end is not None, "a slow engine to be waited for", actual)


async def a_slow_consumer_is_not_a_slow_engine(lab: Lab) -> None:
    """Let the consumer take longer than the idle bound between two frames."""

    async def dawdle(_frame: object) -> None:
        await trio.sleep(3 * IDLE_S)

    steps = (Accept(), Text("One"), Pause(STEP_S), Text(" two"), Pause(STEP_S), Text(" three"), Stall())
    async with lab.open(Script.of(*steps), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = await bench.read(plan=Plan(at_frame=dawdle))
        lab.expect("TMO-02", reading.text == "One two three", "all that the engine said", f"{reading.text!r}")


async def the_deadline_ends_it(lab: Lab, script: Script) -> None:
    """Give the request less time than the engine takes, and less than any other bound."""
    async with lab.open(script, first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = bench.start(bench.request(deadline_ms=round(DEADLINE_S * 1000)))
        await lab.until(DEADLINE_S - TICK_S)
        lab.expect("TMO-05", not reading.over.is_set(), f"patience until t={DEADLINE_S:g} s", "it gave up before")
        await lab.until(DEADLINE_S + SLACK_S)
        latest = f"t={DEADLINE_S + SLACK_S:g} s"
        if not lab.expect("TMO-05", reading.over.is_set(), f"DeadlineUnmet by {latest}", "it goes on"):
            reading.abandon()
            return
        error = reading.error
        lab.expect("TMO-05", isinstance(error, DeadlineUnmet), "DeadlineUnmet", f"{error!r}", *reading.frames[-1:])


async def a_submit_is_made_once(fault: Fault, lab: Lab) -> None:
    """Let the engine fail in a way that could be tried again; that is the service's decision."""
    async with lab.open(fault.script, first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        before = bench.facts.submitted
        await bench.provoke(fault)
        count = bench.facts.submitted - before
        lab.expect("TMO-04", count <= 1, "one request to the engine for one submit", f"{count} of them")


def _retriable(subject: Subject, spec: Specification) -> Iterator[Case]:
    for fault in subject.faults(spec):
        if fault.retriable:
            yield Case(fault.id, partial(a_submit_is_made_once, fault))


_ONCE = Scene(name="once", how="Every retriable failure of the table, counted at the engine.", cases=_retriable)
_SILENCE = Scene(
    name="silence",
    how="The engine falls silent before it accepts, in prefill, and after one and two words.",
    cases=each(silence_ends, {f"frames-{frames}": frames for frames in range(4)}),
)
_DEADLINE = Scene(
    name="deadline",
    how="A request whose deadline passes: before the engine accepts, after a word, and while words come steadily.",
    cases=each(
        the_deadline_ends_it,
        {"waiting": stalls_after(0), "stalled": stalls_after(2), "talking": Script.of(Accept(), *TALK, Finish())},
    ),
)
_SLOW = Scene(
    name="slow-engine",
    how="A word a tick before the idle bound, six times.",
    cases=one(each_token_starts_the_clock_again),
)
_DAWDLING = Scene(
    name="slow-consumer",
    how="A consumer that is slower than the idle bound.",
    cases=one(a_slow_consumer_is_not_a_slow_engine),
)

CHECKS = (
    Check(
        id="TMO-01",
        title="silence ends at its bound, not before and not after",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005", "HTU-1005", "HTU-1005a"),
        scenes=(_SILENCE, LATE_HEAD),
        causes=("keep-alives count as progress", "one timeout for everything"),
    ),
    Check(
        id="TMO-02",
        title="the idle clock starts again with each token, and counts the engine's time only",
        group=Group.TIMEOUTS,
        requirements=(
            "HTU-1005b",
            "HTU-1005c",
        ),
        scenes=(_SLOW, _DAWDLING),
        causes=("the bound is put around the whole stream", "the time in which the consumer is busy is counted"),
    ),
    Check(
        id="TMO-04",
        title="a submit is made once",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005b",),
        scenes=(_ONCE,),
        causes=("the retry of the HTTP client is on for every method",),
    ),
    Check(
        id="TMO-03",
        title="silence after acceptance is DecodeTimeout",
        group=Group.TIMEOUTS,
        requirements=("HTU-1005",),
        scenes=(_SILENCE,),
        causes=("the time-out of the HTTP library passed on",),
    ),
    Check(
        id="TMO-05",
        title="the request's own deadline runs from its submit and ends as DeadlineUnmet",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005d",),
        scenes=(_DEADLINE, LATE_TALK),
        causes=("the deadline is left to the service", "each token, or the answer's head, starts the deadline again"),
    ),
)
