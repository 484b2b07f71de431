"""Many streams at once: each gets its own, and none waits for another's consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import Token
from conformance.check import Check, Group, Level, Scene, each, one
from conformance.engines.script import Accept, Finish, Pause, Script, Text
from conformance.findings import Finding
from conformance.reading import Plan
from conformance.times import STEP_S

from .corners import IN_PIECES_SIDE_BY_SIDE
from .scripts import ACCEPT_AT_S, FINISH_AT_S, FIRST_TOKEN_AT_S, WORDS, steady

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapter_api import TokenEvent
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.transcript import Frame


_PIECE = 1024
_FLOOD = 160
"""Pieces of a flood: more than twice what lies between engine and adapter at any moment."""
_LATE_S = STEP_S
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


async def two_tasks_read_one_stream(lab: Lab, when: tuple[float, int]) -> None:
    """Read a stream in one task, and from some instant on in a second one too."""
    from_s, checkpoints = when
    lab.given.append(f"a second task reads the same stream from t={from_s:g} s and {checkpoints} checkpoints on")
    got: list[tuple[str, TokenEvent]] = []
    async with lab.open(steady()) as bench, bench.rig.adapter.submit(bench.request()) as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read, lab, "first", events, got)
            await lab.until(from_s, checkpoints)
            nursery.start_soon(_read, lab, "second", events, got)
        await _read(lab, "whoever is left", events, got)
    tokens = [event for _, event in got if isinstance(event, Token)]
    text, places = "".join(token.t for token in tokens), [token.i for token in tokens]
    is_whole = text == "".join(WORDS) and places == list(range(len(tokens)))
    lab.expect("CON-05", is_whole, f"each token once and in order: {''.join(WORDS)!r}", f"{text!r} with i={places}")
    others = [event.kind.value for _, event in got if event.kind.value not in {"token", "metrics"}]
    lab.expect("CON-05", others == ["started", "end"], "`started` and `end`, once each", f"{others}")


async def _read(lab: Lab, who: str, events: AsyncIterator[TokenEvent], got: list[tuple[str, TokenEvent]]) -> None:
    """Read to the end or until the stream refuses a second reader; write down what was given."""
    try:
        async for event in events:
            lab.transcript.note(who, f"got {event!r}")
            got.append((who, event))
    except (RuntimeError, trio.BusyResourceError) as refusal:
        lab.transcript.note(who, f"was refused with {refusal!r}")
    except Exception as error:  # noqa: BLE001 - whatever a foreign adapter throws is a finding
        entry = lab.transcript.note(who, f"got {error!r}")
        lab.find(Finding("CON-05", "BusyResourceError, RuntimeError or no error at all", f"{error!r}"), entry)


async def a_flood_starves_nobody(lab: Lab, count: int) -> None:
    """Let one engine's answer be much at once, while others say a word each step; compare with one that is alone."""
    flood = Script.of(Pause(FIRST_TOKEN_AT_S), Accept(), *[Text("x" * _PIECE)] * _FLOOD, Finish())
    lab.given.append(f"{_FLOOD} pieces at once on one stream, and {count} others that say a word a step")
    async with lab.open(steady(), flood, steady(), slots=count + 1) as bench:
        alone = await bench.read()
        since_s = alone.left.at_s if alone.left else 0.0
        big = bench.start()
        await lab.settle()
        others = [bench.start() for _ in range(count)]
        for reading in (big, *others):
            await reading.over.wait()
        due = [frame.at_s + since_s for frame in alone.tokens]
        for reading in others:
            late = [frame for frame, due_s in zip(reading.tokens, due, strict=False) if frame.at_s > due_s + _LATE_S]
            actual = f"{reading.who} got {[f'{frame.what} at t={frame.at_s:g}' for frame in late]}"
            lab.expect("CON-07", not late, f"each word at most {_LATE_S:g} s later than alone", actual, *late)
        if due and due[0] == since_s + FIRST_TOKEN_AT_S:
            _expect_a_turn(lab, big, [reading.tokens[0] for reading in others if reading.tokens])


def _expect_a_turn(lab: Lab, big: Reading, words: list[Frame]) -> None:
    """Words that were due in the instant of the flood come before half of it was given."""
    for word in words:
        before = sum(frame.number < word.number for frame in big.tokens)
        expected = f"{word.who} to get its word before half of the {_FLOOD} pieces"
        lab.expect("CON-07", before <= len(big.tokens) // 2, expected, f"{before} were given before", word)


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

_TWO_READERS = Scene(
    name="two-readers",
    how="Two tasks read one stream: from the start, and from the instant of each event on, and a checkpoint later.",
    cases=each(
        two_tasks_read_one_stream,
        {
            f"{name}-tie+{extra}": (at_s, extra)
            for name, at_s in {
                "start": 0.0,
                "accept": ACCEPT_AT_S,
                "token-0": FIRST_TOKEN_AT_S,
                "token-2": FIRST_TOKEN_AT_S + 2 * STEP_S,
                "end": FINISH_AT_S,
            }.items()
            for extra in range(2)
        },
        2,
    ),
)
_FAIR = Scene(
    name="flood",
    how="One stream is a flood, 7 others say a word each step.",
    cases=each(a_flood_starves_nobody, {"7": 7}),
)

CHECKS = (
    Check(
        id="CON-01",
        title="streams side by side do not mix",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3000e",),
        scenes=(_MIX, IN_PIECES_SIDE_BY_SIDE),
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
    Check(
        id="CON-05",
        title="two tasks that read one stream lose, double and mix up nothing",
        group=Group.CONCURRENCY,
        requirements=("ADAPT-3000g",),
        scenes=(_TWO_READERS,),
        causes=("the reader's state is kept over a wait", "a second waiter takes the place of the first"),
    ),
    Check(
        id="CON-07",
        title="no stream starves beside a flood",
        group=Group.CONCURRENCY,
        level=Level.SHOULD,
        requirements=("ADAPT-3000h",),
        scenes=(_FAIR,),
        causes=(
            "one task reads for all and serves one stream until it is empty",
            "tokens of all pass one narrow channel",
        ),
    ),
)
