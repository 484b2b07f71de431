"""Many streams at once: each gets its own, and none waits for another's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.check import Check, Group, Scene, each, one
from conformance.engines.script import Accept, Finish, Script, Text
from conformance.reading import Plan
from conformance.times import STEP_S

from .scripts import FINISH_AT_S, WORDS, steady

if TYPE_CHECKING:
    from conformance.lab import Lab


_AWAY_S = 10.0  # long enough for everything that does not wait for the consumer


async def streams_do_not_mix(lab: Lab, count: int) -> None:
    """Run so many streams, each with an alphabet of its own."""
    alphabets = [tuple(f"<{number}:{letter}>" for letter in "abcd") for number in range(count)]
    async with lab.open(*(steady(words) for words in alphabets), slots=count) as bench:
        readings = []
        for _ in range(count):
            readings.append(bench.start())
            await lab.settle()  # the n-th request reaches the engine before the next is made
        for reading, words in zip(readings, alphabets, strict=True):
            await reading.over.wait()
            lab.expect("CON-01", reading.text == "".join(words), f"{''.join(words)!r} for {reading.who}", reading.text)


async def a_slow_consumer_holds_nobody_up(lab: Lab) -> None:
    """Let one consumer look away while another reads."""
    async with lab.open(steady()) as bench:
        slow = bench.start(plan=Plan(pause_after=2))
        quick = bench.start()
        await lab.until(FINISH_AT_S + STEP_S)
        lab.expect("CON-04", quick.over.is_set(), "the other stream to be done", f"it has {len(quick.frames)} frames")
        slow.go_on.set()
        await slow.over.wait()
        lab.expect("CON-04", slow.text == "".join(WORDS), "the slow one to get everything later", slow.text)


async def an_unread_stream_slows_the_engine(lab: Lab) -> None:
    """Let the engine say four megabytes while the consumer looks away."""
    lab.need("long-answers")
    piece = "x" * 1024
    async with lab.open(Script.of(Accept(), *[Text(piece)] * 4096, Finish())) as bench:
        reading = bench.start(plan=Plan(pause_after=2))
        await lab.until(_AWAY_S)
        live = bench.facts.live
        lab.expect("CON-03", live == 1, "the engine to be held up by the consumer", f"{live} request(s) at work")
        reading.go_on.set()
        await reading.over.wait()
        count = len(reading.text)
        lab.expect("CON-03", count == 4096 * 1024, "every character in the end", f"{count} of them")


_MIX = Scene(
    name="side-by-side",
    how="2, 8 and 32 streams at once, each with words of its own.",
    cases=each(streams_do_not_mix, {str(count): count for count in (2, 8, 32)}, 2),
)
_SLOW = Scene(
    name="slow-neighbour", how="One consumer looks away, another reads on.", cases=one(a_slow_consumer_holds_nobody_up)
)
_UNREAD = Scene(
    name="unread", how="Four megabytes for a consumer that looks away.", cases=one(an_unread_stream_slows_the_engine)
)

CHECKS = (
    Check(
        id="CON-01",
        title="streams side by side do not mix",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3000e",),
        scenes=(_MIX,),
        causes=("a buffer or counter at the adapter instead of the stream",),
    ),
    Check(
        id="CON-03",
        title="a consumer that does not read slows the engine down",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3005c",),
        scenes=(_UNREAD,),
        causes=("a task that reads ahead into a list", "an unbounded channel"),
    ),
    Check(
        id="CON-04",
        title="a slow consumer holds nobody up",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3000e",),
        scenes=(_SLOW,),
        causes=("one reader task that waits for each consumer in turn",),
    ),
)
