"""Failures: each of the engine's becomes the one error that the specification's table names."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from adapter_api import WorkerReset
from conformance.check import Case, Check, Group, Level, Scene, each, joined
from conformance.engines.script import Accept, Cut, Die, Fail, Reset, Script, Step, Text
from conformance.times import RELEASE_BOUND_S, STEP_S

from .corners import FAILS_IN_ONE_PIECE, LONG_WORDS
from .cuts import CUT_ANYWHERE
from .scripts import FIRST_TOKEN_S, IDLE_S, WORDS, steady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.subject import Fault, Subject
    from specs import Specification

_LONGEST_MESSAGE = 600  # characters: a person reads it in a log line
_FEW = 10


async def is_mapped(fault: Fault, lab: Lab) -> None:
    """Let the engine fail in one way of the table."""
    lab.given.append(f"the table's row {fault.id}: {fault.condition}")
    async with lab.open(fault.script, first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = await bench.provoke(fault)
        frame, error = reading.last, reading.error
        actual = f"the stream ended with {frame.what if frame else 'nothing'}"
        lab.require("ERR-01", error is not None, f"{fault.kind}", actual, *([frame] if frame else ()))
        assert error is not None
        lab.expect("ERR-01", error.kind == fault.kind, f"{fault.kind}", f"{error!r}", *([frame] if frame else ()))
        lab.expect("ERR-03", error.retriable is fault.retriable, f"retriable={fault.retriable}", f"{error!r}")
        blames = error.blames_request
        lab.expect("ERR-03", blames is fault.blames_request, f"blames_request={fault.blames_request}", f"{blames}")
        _expect_useful(lab, fault, error.message)


def _expect_useful(lab: Lab, fault: Fault, message: str) -> None:
    is_short = _FEW <= len(message) <= _LONGEST_MESSAGE
    lab.expect(
        "ERR-07", is_short, f"a message of {_FEW} to {_LONGEST_MESSAGE} characters", f"{len(message)}: {message}"
    )
    for words in (*fault.mentions, *([str(fault.status)] if fault.status else [])):
        lab.expect("ERR-07", words in message, f"a message that has {words!r} in it", f"{message!r}")


async def comes_after_tokens(lab: Lab, count: int) -> None:
    """Fail after so many words."""
    words = (*WORDS, " four")[:count]
    await _expect_words_and_error(lab, words, steady(words, _LATE_FAILURE))


async def comes_with_tokens(lab: Lab, way: tuple[int, Step]) -> None:
    """Fail in the tick in which so many words are said."""
    count, how = way
    if how == Cut(clean=True):
        lab.need("end-marker")
    words = tuple(f" {number}" for number in range(count))
    await _expect_words_and_error(lab, words, Script.of(Accept(), *map(Text, words), how))


async def _expect_words_and_error(lab: Lab, words: tuple[str, ...], script: Script) -> None:
    async with lab.open(script) as bench:
        reading = await bench.read()
        lab.expect("ERR-04", reading.text == "".join(words), f"the text {''.join(words)!r}", f"{reading.text!r}")
        errors = [frame for frame in reading.frames if frame.kind == "error"]
        lab.expect("ERR-04", len(errors) == 1, "one error", f"{len(errors)} of them", *errors)


async def is_not_an_end(lab: Lab, cut: tuple[int, Step]) -> None:
    """Let the stream break off after so many words, without the engine's end marker."""
    count, how = cut
    if how == Cut(clean=True):
        lab.need("end-marker")
    words = WORDS[:count]
    async with lab.open(Script.of(*steady(words, how).steps)) as bench:
        reading = await bench.read()
        frame = reading.last
        is_reset = isinstance(reading.error, WorkerReset)
        actual = f"the stream ended with {frame.what if frame else 'nothing'}"
        lab.expect("FRM-13", is_reset, "WorkerReset for a stream that broke off", actual, *([frame] if frame else ()))
        lab.expect("ERR-04", reading.text == "".join(words), f"the text {''.join(words)!r}", f"{reading.text!r}")


async def gives_the_slot_back(lab: Lab, how: str) -> None:
    """End requests in one way, over and over; the engine's capacity has to stay the same."""
    lab.given.append(f"five requests in a row on one slot, each of which {how}")
    async with lab.open(_ENDINGS[how], slots=1) as bench:
        for _ in range(5):
            await _end(lab, bench, how)
        await _over(lab, bench.start())  # nobody cancels this one, or leaves it
        await trio.sleep(RELEASE_BOUND_S)
        live = bench.facts.live
        lab.expect("LEA-03", live == 0, "an engine without work", f"it still works on {live} request(s)")
        props = await bench.props()
        is_free = props.slots_free in {None, props.slots_total}
        lab.expect("LEA-03", is_free, "all slots free", f"{props.slots_free} of {props.slots_total}")


async def _end(lab: Lab, bench: Bench, how: str) -> None:
    reading = bench.start()
    await trio.sleep(STEP_S * 4)
    if how == "is-canceled":
        await bench.cancel(reading.request.task_id)
    elif how == "is-abandoned":
        reading.abandon()
    await _over(lab, reading)
    await trio.sleep(RELEASE_BOUND_S)


async def _over(lab: Lab, reading: Reading) -> None:
    with trio.move_on_after(60):
        await reading.over.wait()
        return
    lab.require("LEA-03", False, "the next request to be served", f"{reading.who} gets nothing; a slot is lost")


_LATE_FAILURE = Fail(500, "server_error", "broken", in_stream=True)
_AT_ONCE: dict[str, Step] = {"error": _LATE_FAILURE, "short": Cut(clean=False), "clean": Cut(clean=True)}
_ENDINGS = {
    "completes": steady(),
    "fails": Script.of(Fail(500, "server_error", "broken")),
    "fails-late": Script.of(Accept(), Text("One"), _LATE_FAILURE),
    "is-cut": Script.of(Accept(), Text("One"), Cut(clean=True)),
    "is-reset": Script.of(Accept(), Text("One"), Reset()),
    "is-canceled": steady((*WORDS, *WORDS)),
    "is-abandoned": steady((*WORDS, *WORDS)),
}
_CUTS: dict[str, Step] = {"clean": Cut(clean=True), "short": Cut(clean=False), "reset": Reset(), "death": Die(down_s=1)}


def _table(subject: Subject, spec: Specification) -> Iterator[Case]:
    for fault in subject.faults(spec):
        yield Case(fault.id, partial(is_mapped, fault))


TABLE = Scene(name="table", how="Every row of the engine's error table, played.", cases=_table)
LATE = Scene(
    name="late-failures",
    how="The engine fails after 0 to 4 words, and in the tick of 0 to 8 words: with an error, cut, without an end.",
    cases=joined(
        each(comes_after_tokens, {f"after-{count}": count for count in range(5)}),
        each(
            comes_with_tokens,
            {f"{name}-with-{count}": (count, how) for name, how in _AT_ONCE.items() for count in (0, 1, 2, 3, 5, 8)},
        ),
    ),
)
BROKEN_OFF = Scene(
    name="broken-off",
    how="The stream breaks off after each word: closed properly, closed in the middle, reset, engine dead.",
    cases=each(
        is_not_an_end,
        {f"{name}-after-{count}": (count, how) for name, how in _CUTS.items() for count in range(len(WORDS) + 1)},
    ),
)
_SLOTS = Scene(
    name="slots",
    how="One slot and five requests in a row that complete, fail, are cut, canceled or abandoned.",
    cases=each(gives_the_slot_back, {name: name for name in _ENDINGS}),
)

CHECKS = (
    Check(
        id="ERR-01",
        title="each failure becomes the error of the table",
        group=Group.ERRORS,
        requirements=("ADAPT-3002",),
        scenes=(TABLE,),
        causes=("only the HTTP status is looked at and not the body", "errors inside the stream are not looked for"),
    ),
    Check(
        id="ERR-03",
        title="`retriable` and the blame are those of the table",
        group=Group.ERRORS,
        requirements=(
            "AH-1005c",
            "AH-1005a",
        ),
        scenes=(TABLE,),
        causes=("the class's default where the row says otherwise",),
    ),
    Check(
        id="ERR-04",
        title="an error keeps the tokens before it and comes once",
        group=Group.ERRORS,
        requirements=(
            "ADAPT-3002d",
            "ADAPT-3002a",
        ),
        scenes=(LATE, BROKEN_OFF, FAILS_IN_ONE_PIECE),
        causes=("tokens of the same read are dropped when the error is found",),
    ),
    Check(
        id="ERR-07",
        title="the message helps: short, the status and the engine's words",
        group=Group.ERRORS,
        level=Level.SHOULD,
        requirements=("ADAPT-3002c",),
        scenes=(TABLE, LONG_WORDS),
        causes=(
            "the whole body of the engine's answer is quoted",
            "the message is the text of a library's exception",
        ),
    ),
    Check(
        id="FRM-13",
        title="a stream that breaks off is never an `end`",
        group=Group.ORDER,
        requirements=("ADAPT-3010d",),
        scenes=(BROKEN_OFF, CUT_ANYWHERE),
        causes=("the end of the body is taken for the engine's end marker",),
    ),
    Check(
        id="LEA-03",
        title="slots come back, however a request ends",
        group=Group.LEAKS,
        requirements=("ADAPT-3101f",),
        scenes=(_SLOTS,),
        causes=("the connection is not closed on the error path",),
    ),
)
