"""Frame order beyond the everyday: numbers out of place, two ends at one instant, the clock, very long streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_api import Token
from conformance.check import Check, Group, Level, Scene, each, joined, one
from conformance.engines.script import Accept, Cut, Fail, Finish, Pause, Script, Text
from conformance.memory import held
from conformance.oracle import OrderOracle
from conformance.times import STEP_S, TICK_S

from .everyday import EVERYDAY
from .scripts import ACCEPT_AT_S, WORDS, quick, steady
from .tied_ends import TIED_ENDS

if TYPE_CHECKING:
    from adapter_api import TokenEvent
    from conformance.engines.script import Step
    from conformance.lab import Lab
    from conformance.reading import Reading

_TWO_ENDS = "an exception handler that yields a terminal event after one was already given"


async def comes_in_its_place(lab: Lab, script: Script) -> None:
    """Let three requests meet this engine with one slot; the oracle says which numbers are out of place."""
    async with lab.open(script, slots=1) as bench:
        for _ in range(3):
            bench.start()


async def is_canceled_in_line(lab: Lab) -> None:
    """Cancel a request that waits for a slot, and one that waits for its first token."""
    async with lab.open(steady(), slots=1) as bench:
        first, waiting = bench.start(), bench.start()
        await lab.until(ACCEPT_AT_S + STEP_S / 2)
        await bench.cancel(waiting.who)
        await bench.cancel(first.who)


_SLOW = Script.of(Accept(), *[Pause(2.0)] * 3, Text("One"), Finish())
_IN_LINE = {
    "completes": steady(),
    "at-once": quick("One"),
    "slow-prompt": _SLOW,
    "says-nothing": quick(),
    "fails-first": Script.of(Pause(STEP_S), Fail(500, "server_error", "broken")),
    "fails-late": steady(WORDS, Fail(500, "server_error", "broken", in_stream=True)),
    "is-cut": steady(WORDS, Cut(clean=False)),
}
_NUMBERS = Scene(
    name="numbers",
    how="Three requests on one slot that complete, fail and are cut, after long waits and none; canceled in line.",
    cases=joined(each(comes_in_its_place, _IN_LINE), one(is_canceled_in_line, "canceled-in-line")),
)


@dataclass(frozen=True, slots=True)
class _Pace:
    """Silence between two words and before the end, and when to cancel."""

    gaps_s: tuple[float, ...]
    cancel_at_s: float | None = None


async def is_on_this_clock(lab: Lab, pace: _Pace) -> None:
    """Compare the decode time with the virtual time between the first token and the end."""
    said: list[Step] = []
    for number, gap_s in enumerate(pace.gaps_s):
        said += [Text(f" {number}"), Pause(gap_s)]
    script = Script.of(Accept(), *said, Finish())
    async with lab.open(script, idle_s=2 * max(pace.gaps_s) + 1) as bench:
        reading = bench.start()
        if pace.cancel_at_s is not None:
            await lab.until(pace.cancel_at_s)
            await bench.cancel(reading.who)
        await reading.over.wait()
        lab.require("FRM-09", reading.end is not None, "`end`", "the stream did not end well", *reading.frames[-1:])
        assert reading.end is not None
        _expect_exact(lab, reading, reading.end.decode_time_ms)


def _expect_exact(lab: Lab, reading: Reading, told_ms: int) -> None:
    """The time runs from the first token as the engine said it, which is at 0, or as it was given; to the end."""
    end_s = reading.frames[-1].at_s
    first_s = reading.tokens[0].at_s if reading.tokens else end_s
    least_ms, most_ms = 1000 * (end_s - first_s), 1000 * end_s
    is_right = least_ms - 1 < told_ms < most_ms + 1  # whichever way it is rounded
    expected = f"decode_time_ms={most_ms:g}, the time on the run's clock since the first token"
    lab.expect("FRM-09", is_right, expected, f"decode_time_ms={told_ms}", reading.frames[-1])


_PACES = {
    "at-once": _Pace((0.0, 0.0)),
    "a-tick": _Pace((TICK_S, 0.0)),
    "ticks": _Pace((TICK_S, 3 * TICK_S, 7 * TICK_S)),
    "seconds": _Pace((STEP_S, 2.5, 9.0)),
    "minutes": _Pace((61.0, 90.5, 0.25)),
    "canceled": _Pace((1.0, 8.0), 2.5),
}
_CLOCK = Scene(
    name="clock",
    how="Answers that take no time, ticks, seconds and minutes; the decode time is compared with the run's clock.",
    cases=each(is_on_this_clock, _PACES),
)


_MANY = 2**11
_WORD = " on"
_MOST_BLOCKS = 0.5  # for each token; whoever keeps every token keeps at least one
_ENOUGH = 8


async def is_very_long(lab: Lab) -> None:
    """Read many tokens without writing them down, and compare what is held halfway and shortly before the end."""
    script = Script((Accept(), *[Text(_WORD)] * _MANY, Finish()))
    async with lab.open(script) as bench:
        order, characters, marks = OrderOracle(lab.spec.frame_order("adapter")), 0, list[int]()
        async with bench.rig.adapter.submit(bench.request(max_tokens=_MANY)) as events:
            async for event in events:
                _judge(lab, order, event)
                characters += len(event.t) if isinstance(event, Token) else 0
                while len(marks) < len(_MARKS) and characters >= _MARKS[len(marks)]:
                    marks.append(await held())
        lab.find_all(order.at_end())
        _expect_flat(lab, marks, characters)


_MARKS = (len(_WORD) * _MANY // 2, len(_WORD) * (_MANY - _ENOUGH))
"""Characters after which what is held is looked at."""


def _judge(lab: Lab, order: OrderOracle, event: TokenEvent) -> None:
    if len(lab.findings) < _ENOUGH:  # what is wrong with one is wrong with thousands
        lab.find_all(order.accept(event.kind, event.data))


def _expect_flat(lab: Lab, marks: list[int], characters: int) -> None:
    whole = len(_WORD) * _MANY
    lab.require("FRM-07", characters == whole, f"{whole} characters", f"{characters} of them came")
    growth = (marks[1] - marks[0]) / (_MANY // 2 - _ENOUGH)
    expected = f"less than {_MOST_BLOCKS:g} objects held for each of {_MANY} tokens"
    lab.expect("FRM-11", growth < _MOST_BLOCKS, expected, f"{growth:.1f} of them")


_LONG = Scene(
    name="very-long",
    how=f"{_MANY} tokens as fast as they are read, and the objects that are alive halfway and at the end.",
    cases=one(is_very_long),
)


def _order(
    check_id: str, title: str, scenes: tuple[Scene, ...], *requirements: str, causes: tuple[str, ...] = ()
) -> Check:
    return Check(id=check_id, title=title, group=Group.ORDER, requirements=requirements, scenes=scenes, causes=causes)


CHECKS = (
    _order(
        "FRM-01",
        "one `started`, and first",
        (EVERYDAY, _NUMBERS),
        "ADAPT-3010",
        causes=("`started` is sent per connection and a second one is opened", "a retry that starts over"),
    ),
    _order(
        "FRM-02",
        "nothing but `error` before `started`",
        (EVERYDAY, _NUMBERS),
        "ADAPT-3010",
        causes=("the first bytes of the body carry text before `started` was given",),
    ),
    _order(
        "FRM-03",
        "token indices count from 0 without a gap",
        (EVERYDAY, _NUMBERS, _LONG),
        "ADAPT-3010a",
        causes=("an index taken from the engine's own counter", "a counter that is reset after a pause"),
    ),
    _order(
        "FRM-04",
        "`metrics` only where the table has it",
        (EVERYDAY, _NUMBERS),
        "ADAPT-3010",
        causes=("progress of the prompt reported before `started`", "final numbers given after the terminal event"),
    ),
    _order(
        "FRM-05",
        "nothing after the terminal event",
        (EVERYDAY, _NUMBERS),
        "ADAPT-3010",
        causes=(_TWO_ENDS,),
    ),
    _order(
        "FRM-06",
        "never both `end` and `error`",
        (EVERYDAY, TIED_ENDS),
        "ADAPT-3010",
        "ADAPT-3002a",
        causes=("a time-out that fires between the end marker and the end of the body", _TWO_ENDS),
    ),
    _order(
        "FRM-09",
        "times in events are on the run's clock",
        (_CLOCK,),
        "ADAPT-3010i",
        "ADAPT-3010g",
        causes=("time.time() or time.monotonic() in place of trio.current_time()", "a time of day, not a time taken"),
    ),
    _order(
        "FRM-15",
        "no event kind but the five",
        (EVERYDAY, _NUMBERS),
        "ADAPT-3001",
        causes=("the engine's own events passed on",),
    ),
    Check(
        id="FRM-11",
        title="a very long stream keeps its order and takes no memory",
        group=Group.ORDER,
        level=Level.SHOULD,
        requirements=("ADAPT-3001f",),
        scenes=(_LONG,),
        causes=("every token kept for the end", "a list of times that grows with each token"),
    ),
)
