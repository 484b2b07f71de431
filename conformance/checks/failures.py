"""Failures beyond the table: kinds and classes, several at one instant, advice on when to come back, endless lines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING

import trio

from adapter_api import AdapterError, WorkerError
from conformance.check import Case, Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Answer, Fail, Malformed, Pause, Script, Stall, Text
from conformance.findings import NotApplicable, Stop
from conformance.times import EPOCH_S, STEP_S, TICK_S

from .errors import LATE, TABLE
from .everyday import EVERYDAY
from .scripts import FIRST_TOKEN_S, WORDS, Moment, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from conformance.engines.script import Step
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.subject import Fault, Subject
    from specs import Specification


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
        each(dies_under_all, {f"death-{name}": moment for name, moment in _INSTANTS.items()}),
        each(fails_twice_at_once, {f"death-and-{way}": way for way in ("deadline", "silence", "cancel", "consumer")}),
        one(fails_as_a_batch, "batch"),
    ),
)

_ADVISED_S = 7
_ANSWERS_AT_S = 1.0  # a whole second, as dates in HTTP are
_CUT_MS = "retry_after.max_ms"


@dataclass(frozen=True, slots=True)
class _Advice:
    """Headers with which an engine says when to come back, and what may be made of them, in milliseconds."""

    headers: tuple[tuple[str, str], ...]
    legal: tuple[int | None, ...]


def _advices(cut_ms: int) -> dict[str, _Advice]:
    def after(value: str, *legal: int | None) -> _Advice:
        return _Advice((("Retry-After", value),), legal)

    come_back_s = EPOCH_S + _ANSWERS_AT_S + _ADVISED_S
    return {
        "none": _Advice((), (None,)),
        "seconds": after(str(_ADVISED_S), _ADVISED_S * 1000),
        "zero": after("0", 0, None),
        "milliseconds": _Advice((("retry-after-ms", "250"),), (250,)),
        "date": after(formatdate(come_back_s, usegmt=True), _ADVISED_S * 1000),
        "past-date": after(formatdate(EPOCH_S - 60, usegmt=True), 0, None),
        "far-date": after("Fri, 31 Dec 2999 23:59:59 GMT", cut_ms),
        "a-day": after("86400", cut_ms),
        "beyond-numbers": after("9" * 400, cut_ms, None),
        "negative": after("-5", None),
        "not-a-number": after("nan", None),
        "words": after("soon", None),
        "half-a-date": after("Fri, 31", None),
        "nothing": after("", None),
    }


def _advised(subject: Subject, spec: Specification) -> Iterator[Case]:
    """Yield every form of advice with one refusal of the engine's table, and one form with every other."""
    cut_ms = round(spec.bounds[_CUT_MS].value)
    forms = _advices(cut_ms)
    refusals = [each for each in subject.faults(spec) if each.retriable and _is_answer(each)]
    for fault in refusals:
        for name, advice in forms.items():
            yield Case(f"{fault.id}-{name}", partial(is_advised, fault, advice))
        forms = {"seconds": forms["seconds"]}
    if not refusals:
        yield Case("none", _cannot_be)


def _is_answer(fault: Fault) -> bool:
    return isinstance(next(iter(fault.script.steps), None), Answer)


async def _cannot_be(_lab: Lab) -> None:  # noqa: RUF029, ASYNC124 - plays are awaited
    raise NotApplicable("no refusal of the engine's table is an HTTP answer that may be tried again")


async def is_advised(fault: Fault, advice: _Advice, lab: Lab) -> None:
    """Let the engine refuse with this advice."""
    refusal = fault.script.steps[0]
    assert isinstance(refusal, Answer)
    lab.given.append(f"the table's row {fault.id} with the headers {dict(advice.headers)}")
    async with lab.open(Script.of(Pause(_ANSWERS_AT_S), replace(refusal, headers=advice.headers))) as bench:
        reading = await bench.read()
        error, last = reading.error, reading.frames[-1:]
        lab.require("ERR-01", error is not None, fault.kind, "the stream did not fail", *last)
        assert error is not None
        expected = f"retry_after_ms={' or '.join(map(str, advice.legal))}"
        is_right = error.retry_after_ms in advice.legal
        lab.expect("ERR-09", is_right, expected, f"retry_after_ms={error.retry_after_ms}", *last)


_ADVICE = Scene(
    name="advice",
    how="A refusal of the engine's table with every form of advice on when to come back: seconds, milliseconds, dates, "
    "far too long, nonsense and none; then one form with every refusal that may be tried again.",
    cases=_advised,
)


_PIECE = 2**16  # bytes
_MOST_BYTES = "decoder.max_event_bytes"


@dataclass(frozen=True, slots=True)
class _Endless:
    """Bytes without an end: how they begin, what each further piece begins and ends with."""

    begin: bytes
    each: bytes = b""
    end: bytes = b""
    words: int = 0


async def is_endless(lab: Lab, endless: _Endless) -> None:
    """Let the engine send a piece a tick and never come to an end, far beyond the bound."""
    lab.need("wire")
    most = round(lab.spec.bounds[_MOST_BYTES].value)
    pieces = 2 * most // _PIECE
    padding = b"x" * (_PIECE - len(endless.each) - len(endless.end))
    piece: tuple[Step, ...] = (Malformed(endless.each + padding + endless.end), Pause(TICK_S))
    said = map(Text, WORDS[: endless.words])
    script = Script.of(Accept(), *said, Malformed(endless.begin), *piece * 2 * pieces, Stall())
    async with lab.open(script, first_token_s=FIRST_TOKEN_S, idle_s=FIRST_TOKEN_S) as bench:
        reading = await bench.read()
        last = reading.frames[-1:]
        actual = f"the stream ended with {last[0].what if last else 'nothing'}"
        lab.require("ERR-10", isinstance(reading.error, AdapterError), "an `Adapter` error", actual, *last)
        by_s = pieces * TICK_S
        expected = f"the error by t={by_s:g} s, when twice the bound of {most} bytes has come"
        lab.expect("ERR-10", last[0].at_s <= by_s, expected, f"it came at t={last[0].at_s:g} s", *last)


_ENDLESS = {
    "line": _Endless(b"x"),
    "data": _Endless(b"data: "),
    "event": _Endless(b"data: {\n", b"data: ", b"\n"),
    "comment": _Endless(b": "),
    "name": _Endless(b"event: "),
    "string": _Endless(b'data: {"content": "'),
    "line-after-words": _Endless(b"data: ", words=2),
    "event-after-words": _Endless(b"data: {\n", b"data: ", b"\n", words=1),
}
_NO_END = Scene(
    name="endless",
    how="A line, an event, a comment, a name and a string without end, first and after words, in pieces of 64 KiB.",
    cases=each(is_endless, _ENDLESS),
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
    Check(
        id="ERR-09",
        title="the engine's advice on when to come back is told",
        group=Group.ERRORS,
        requirements=("ADAPT-3002f", "HTU-1002d"),
        scenes=(_ADVICE,),
        causes=("the header is looked for on one status only", "seconds taken for milliseconds", "dates not read"),
    ),
    Check(
        id="ERR-10",
        title="what has no end fails within a bound",
        group=Group.ERRORS,
        requirements=("HTU-1003c",),
        scenes=(_NO_END,),
        causes=("lines read without a limit", "a limit on lines and none on events of many lines"),
    ),
)
