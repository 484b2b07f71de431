"""What the engine says at the very instant at which a bound ends: before it or after it, and nothing in between.

Ties are where reads that are cancelled with their bytes in hand, and ends that come twice, show; a tick beside them is
where a bound that is off by one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from adapter_api import DeadlineUnmet, DecodeTimeout, WorkerError
from conformance.check import MOST_SEEDS, Check, Group, Scene, each, joined
from conformance.engines.script import Accept, Finish, Pause, Script, Stall, Text
from conformance.reading import Plan
from conformance.times import STEP_S, TICK_S

from .scripts import CHECKPOINTS, FIRST_TOKEN_S, IDLE_S, Moment
from .timeouts import DEADLINE_S, SLACK_S, TALK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.engines.script import Step
    from conformance.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Something that the engine says `beside_s` seconds from the end of a bound, and what may become of the stream.

    `whole` is all that the engine says; `texts` are those that may stand before the bound's `error`. With `goes_on` and
    in time, the whole has to come.
    """

    script: Script
    whole: str
    texts: Sequence[str]
    error: type[WorkerError]
    due_s: float
    beside_s: float
    goes_on: bool = True
    deadline_ms: int | None = None


async def it_is_before_or_after(lab: Lab, meeting: Meeting) -> None:
    """Let the engine say something about when a bound ends: the stream goes on, or fails, as if one had come first."""
    lab.given.append(f"a bound ends at t={meeting.due_s:g} s, {-meeting.beside_s:g} s from something the engine says")
    async with lab.open(meeting.script, first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = await bench.read(bench.request(deadline_ms=meeting.deadline_ms))
        last = reading.last
        actual = f"{reading.text!r} and then {last.what if last else 'nothing'}"
        if meeting.goes_on and (reading.end is not None or meeting.beside_s < 0):
            is_whole = reading.end is not None and reading.text == meeting.whole
            lab.expect("TMO-10", is_whole, f"{meeting.whole!r} and an end", actual, *reading.frames[-1:])
            return
        fails = isinstance(reading.error, meeting.error) and reading.text in meeting.texts
        in_time = last is not None and 0 <= last.at_s - meeting.due_s <= SLACK_S
        expected = f"{' or '.join(map(repr, meeting.texts))} and {meeting.error.__name__} at t={meeting.due_s:g} s"
        lab.expect("TMO-10", fails and in_time, expected, actual, *reading.frames[-1:])


async def the_deadline_passes_inside_a_receive(lab: Lab, case: tuple[int, Moment]) -> None:
    """Have the consumer busy with a frame when the deadline passes; when it reads on, the stream is over soon."""
    count, moment = case
    lab.given.append(
        f"the consumer is busy with frame {count} until t={moment.at_s:g} s + {moment.checkpoints} checkpoints"
    )
    resumed: list[float] = []

    async def is_busy(_frame: object) -> None:
        if len(reading.frames) == count:
            await lab.until(moment.at_s, moment.checkpoints)
            resumed.append(trio.current_time())

    async with lab.open(Script.of(Accept(), *TALK, Finish()), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = bench.start(bench.request(deadline_ms=round(DEADLINE_S * 1000)), Plan(at_frame=is_busy))
        await lab.until(max(moment.at_s, DEADLINE_S) + SLACK_S)
        if not lab.expect("TMO-10", reading.over.is_set(), "the stream to be over soon", "it goes on"):
            reading.abandon()
            return
        error = reading.error
        lab.expect("TMO-10", isinstance(error, DeadlineUnmet), "DeadlineUnmet", f"{error!r}", *reading.frames[-1:])
        words = "".join(f" {number}" for number in range(64))
        is_start = words.startswith(reading.text)
        lab.expect("TMO-10", is_start, "what the engine said, from its beginning", f"{reading.text!r}")


def _meetings(**places: float) -> dict[str, Meeting]:
    return {
        f"{name}-{where}": make(beside_s)
        for name, make in (("first-token", _first), ("idle", _idle), ("end", _end), ("word", _word))
        for where, beside_s in places.items()
    }


def _first(beside_s: float) -> Meeting:
    script = Script.of(Accept(), Pause(FIRST_TOKEN_S + beside_s), Text("One"), Pause(STEP_S), Text(" two"), Finish())
    return Meeting(
        script=script, whole="One two", texts=("",), error=WorkerError, due_s=FIRST_TOKEN_S, beside_s=beside_s
    )


def _idle(beside_s: float) -> Meeting:
    steps = (Accept(), Pause(STEP_S), Text("One"), Pause(IDLE_S + beside_s), Text(" two"), Pause(STEP_S), Finish())
    due_s = STEP_S + IDLE_S
    return Meeting(
        script=Script.of(*steps),
        whole="One two",
        texts=("One",),
        error=DecodeTimeout,
        due_s=due_s,
        beside_s=beside_s,
    )


def _end(beside_s: float) -> Meeting:
    steps = (Accept(), Pause(STEP_S), Text("One"), Pause(DEADLINE_S - STEP_S + beside_s), Finish())
    return _at_the_deadline(steps, "One", ("One",), beside_s, goes_on=True)


def _word(beside_s: float) -> Meeting:
    steps = (Accept(), Pause(STEP_S), Text("One"), Pause(DEADLINE_S - STEP_S + beside_s), Text(" two"), Stall())
    texts = ("One two",) if beside_s < 0 else ("One", "One two")
    return _at_the_deadline(steps, "One two", texts, beside_s, goes_on=False)


def _at_the_deadline(
    steps: Sequence[Step], whole: str, texts: Sequence[str], beside_s: float, *, goes_on: bool
) -> Meeting:
    return Meeting(
        script=Script.of(*steps),
        whole=whole,
        texts=texts,
        error=DeadlineUnmet,
        due_s=DEADLINE_S,
        beside_s=beside_s,
        goes_on=goes_on,
        deadline_ms=round(DEADLINE_S * 1000),
    )


def _inside() -> dict[str, tuple[int, Moment]]:
    moments = {"before": Moment(DEADLINE_S - TICK_S), "after": Moment(DEADLINE_S + TICK_S)}
    moments |= {f"tie+{extra}": Moment(DEADLINE_S, extra) for extra in range(0, CHECKPOINTS, 2)}
    return {f"frame-{count}-{name}": (count, moment) for count in (1, 3) for name, moment in moments.items()}


_MEETS = Scene(
    name="meets-its-bound",
    how="A word, or the end, a tick before, at and a tick after the end of the first token's bound, of the idle bound "
    "and of the request's deadline, under several schedules.",
    cases=joined(
        each(it_is_before_or_after, _meetings(before=-TICK_S, after=TICK_S)),
        each(it_is_before_or_after, _meetings(tie=0.0), MOST_SEEDS // 2),
    ),
)
_INSIDE = Scene(
    name="deadline-inside-receive",
    how="The deadline passes while the consumer is busy with the k-th frame, or a few checkpoints before it reads on.",
    cases=each(the_deadline_passes_inside_a_receive, _inside()),
)

CHECKS = (
    Check(
        id="TMO-10",
        title="what meets a bound at its very end comes before it or after it",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005g", "ADAPT-3005d"),
        scenes=(_MEETS, _INSIDE),
        causes=(
            "a read is cancelled when it has its bytes already, and they are lost",
            "the bound is looked at again after the event was taken",
            "the end is taken and the deadline's error raised all the same",
        ),
    ),
)
