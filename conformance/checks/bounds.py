"""Bounds on connecting, on hanging engines and on everything together; and that a stream is not begun anew in them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from adapter_api import DeadlineUnmet, WorkerError
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Cut, Die, Fail, Finish, Pause, Reset, Script, Step, Text
from conformance.findings import NotApplicable
from conformance.times import CLEANUP_BOUND_S, STEP_S, TICK_S

from .scripts import FIRST_TOKEN_S, IDLE_S, WORDS, quick, steady

if TYPE_CHECKING:
    from conformance.lab import Lab

_SLACK_S = 0.25
"""How much later than its bound an adapter may act."""
_CONNECT_BOUND_S = 30.0
"""Longest time that connecting may take; each adapter has a shorter bound of its own."""
_DEADLINE_S = 1.5
_SHARE_S = 0.5
"""What one phase takes of the deadline where several do."""
_NEVER = float("inf")
_ALL = tuple(step for number in range(64) for step in (Text(f" {number}"), Pause(STEP_S)))


async def a_stream_is_begun_once(lab: Lab, breaks: tuple[int, Step, Script]) -> None:
    """Let a stream break off after so many words; another request would be answered."""
    count, how, second = breaks
    if how == Cut(clean=True):
        lab.need("end-marker")
    words = WORDS[:count]
    async with lab.open(steady(words, how), second) as bench:
        reading = await bench.read()
        asked = bench.facts.submitted
        lab.expect("TMO-06", asked == 1, "one request to the engine", f"{asked} of them")
        started = [frame for frame in reading.frames if frame.kind == "started"]
        lab.expect("TMO-06", len(started) <= 1, "at most one `started`", f"{len(started)} of them", *started[1:])
        expected = f"{''.join(words)!r}, and nothing of another answer"
        lab.expect("TMO-06", reading.text == "".join(words), expected, f"{reading.text!r}", *reading.tokens[count:])
        actual = f"it gave {reading.last.what if reading.last else 'nothing'}"
        lab.expect("TMO-06", reading.error is not None, "the failure", actual, *reading.frames[-1:])


async def connecting_is_bounded(lab: Lab) -> None:
    """Let every connection hang while it is made; the request has no deadline."""
    lab.need("connection")
    lab.given.append("no connection is ever made or refused")
    async with lab.open(quick("Hello"), dial_s=_NEVER) as bench:
        reading = bench.start()
        with trio.move_on_after(_CONNECT_BOUND_S):
            await reading.over.wait()
        expected = f"an error within {_CONNECT_BOUND_S:g} s"
        if not lab.expect("TMO-07", reading.over.is_set(), expected, "it still connects"):
            reading.abandon()
            return
        _expect_no_answer(reading.text)
        error = reading.error
        lab.expect("TMO-07", isinstance(error, WorkerError), "a WorkerError", f"{error!r}", *reading.frames[-1:])


async def one_deadline_covers_all(lab: Lab, phases: tuple[float, Script]) -> None:
    """Let several phases take their time, each less than the deadline and all together more."""
    dial_s, script = phases
    if dial_s:
        lab.need("connection")
        lab.given.append(f"each connection takes {dial_s:g} s")
    lab.given.append(f"the request has a deadline of {_DEADLINE_S:g} s")
    async with lab.open(script, first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S, dial_s=dial_s) as bench:
        reading = bench.start(bench.request(deadline_ms=round(_DEADLINE_S * 1000)))
        await lab.until(_DEADLINE_S - TICK_S)
        actual = f"it gave {reading.last.what if reading.last else 'nothing'}"
        lab.expect("TMO-07", not reading.over.is_set(), f"patience until t={_DEADLINE_S:g} s", actual)
        latest_s = _DEADLINE_S + _SLACK_S + min(dial_s, CLEANUP_BOUND_S)  # to tell an engine to stop takes a connection
        await lab.until(latest_s)
        if not lab.expect("TMO-07", reading.over.is_set(), f"DeadlineUnmet by t={latest_s:g} s", "it goes on"):
            reading.abandon()
            return
        error = reading.error
        lab.expect("TMO-07", isinstance(error, DeadlineUnmet), "DeadlineUnmet", f"{error!r}", *reading.frames[-1:])


async def reports_of_a_hanging_engine(lab: Lab, silent_after: int) -> None:
    """Ask for every report while each connection falls silent after so many bytes of the answer."""
    lab.need("connection")
    lab.given.append(f"on every connection the engine falls silent after {silent_after} bytes, and stays there")
    async with lab.open(quick("Hello"), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S, silent_after=silent_after) as bench:
        health = await bench.health()
        told = lab.transcript.entries[-1]
        for ask in (bench.props, bench.capabilities, bench.engine_version):
            with suppress(WorkerError):
                await ask()
        reading = await bench.read()
        _expect_no_answer(reading.text)
        if not silent_after:
            lab.expect("HPC-01", not health.ready, "ready=False of an engine that says nothing", f"{health!r}", told)
        is_failure = isinstance(reading.error, WorkerError)
        lab.expect("TMO-07", is_failure, "a failure in time", f"it gave {[frame.what for frame in reading.frames]}")


def _expect_no_answer(text: str) -> None:
    if text:
        raise NotApplicable("connections of this subject are as always")


_BREAKS: dict[str, Step] = {
    "reset": Reset(),
    "cut": Cut(clean=False),
    "clean-cut": Cut(clean=True),
    "failure": Fail(500, "server_error", "broken", in_stream=True),
    "overload": Fail(503, "unavailable_error", "busy", in_stream=True),
    "death": Die(down_s=0),
}
_SECONDS = {"the-same": steady(), "another": quick("Something", " else")}
_ONCE = Scene(
    name="begun-once",
    how="The stream breaks off after 0, 1 and 3 words in each way there is; a second request would be answered.",
    cases=each(
        a_stream_is_begun_once,
        {
            f"{name}-after-{count}-{second}": (count, how, script)
            for name, how in _BREAKS.items()
            for count in (0, 1, 3)
            for second, script in _SECONDS.items()
            if count == 1 or second == "the-same"
        },
    ),
)
_HEAD_S = Script.of(Pause(_SHARE_S), Accept(), Pause(_SHARE_S), *_ALL, Finish())
_PHASES: dict[str, tuple[float, Script]] = {
    "connecting": (_NEVER, quick("Hello")),
    "late-connection": (_DEADLINE_S - TICK_S, Script.of(Pause(_SHARE_S), *quick("Hello").steps)),
    "late-head": (_SHARE_S, Script.of(Pause(_DEADLINE_S - 2 * TICK_S), *quick("Hello").steps)),
    "late-token": (0.0, Script.of(Pause(_SHARE_S), Accept(), Pause(_DEADLINE_S - TICK_S), *quick("Hello").steps[1:])),
    "trickle": (0.0, _HEAD_S),
    "all-of-them": (_SHARE_S, _HEAD_S),
}
_CONNECTING = Scene(
    name="no-connection",
    how="No connection is ever made; and a deadline over connecting, the head, the first token and the rest.",
    cases=joined(one(connecting_is_bounded, "no-deadline"), each(one_deadline_covers_all, _PHASES)),
)
HANGING = Scene(
    name="hanging-engine",
    how="Every connection falls silent after 0 bytes, within the status line, the head and the body of an answer.",
    cases=each(reports_of_a_hanging_engine, {f"after-{count}": count for count in (0, 5, 20, 90, 160, 300)}),
)

CHECKS = (
    Check(
        id="TMO-06",
        title="a stream is not begun anew",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005b",),
        scenes=(_ONCE,),
        causes=("a retry around the whole stream", "a stream that is resumed where it broke off"),
    ),
    Check(
        id="TMO-07",
        title="connecting is bounded, and one deadline covers everything",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005", "ADAPT-3005d"),
        scenes=(_CONNECTING, HANGING),
        causes=(
            "the time-out of the HTTP library does not cover a dial of one's own",
            "the deadline is given to each phase anew",
        ),
    ),
)
