"""Cancel: at every instant of the engine, in every way, and what is left afterwards.

Races show only where two things happen at once, so cancels are put at the engine's own instants, a tick before, a tick
after, and a few checkpoints later, under several schedules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import CancelMode, TaskId
from conformance.check import MOST_SEEDS, Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Script, Stall, Text
from conformance.reading import Plan
from conformance.times import ACK_BOUND_S, CLEANUP_BOUND_S, RELEASE_BOUND_S, STEP_S

from .corners import ALIKE, CANCELED_IN_ONE_PIECE
from .later_streams import LATER
from .scripts import FINISH_AT_S, WORDS, Moment, beside, moments, stalls_after, steady, ties

if TYPE_CHECKING:
    from conformance.bench import Ack, Bench
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.transcript import Frame

_AWAY_S = 2 * RELEASE_BOUND_S  # how long a consumer looks away: longer than the engine may take to let go


async def at_every_instant(lab: Lab, moment: Moment) -> None:
    """Cancel while a consumer reads, at this moment."""
    lab.given.append(f"cancel() at t={moment.at_s:g} s and {moment.checkpoints} checkpoints")
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(moment.at_s, moment.checkpoints)
        ack = await bench.cancel(reading.request.task_id)
        await _sees_only_the_end(lab, reading, ack)
        await _sees_release(lab, bench)


async def inside_the_receive(lab: Lab, count: int) -> None:
    """Cancel from the consumer's own task, right after it got a frame."""
    lab.given.append(f"the consumer itself calls cancel() after frame {count}")
    acks: list[Ack] = []

    async def cancel(_frame: Frame) -> None:
        if len(reading.frames) == count:
            acks.append(await bench.cancel(reading.request.task_id))

    async with lab.open(steady()) as bench:
        reading = bench.start(plan=Plan(at_frame=cancel))
        await reading.over.wait()
        for ack in acks:
            await _sees_only_the_end(lab, reading, ack)
        await _sees_release(lab, bench)


async def while_nobody_reads(lab: Lab, count: int) -> None:
    """Cancel while the consumer is busy elsewhere; the engine has to be released without it."""
    lab.given.append(f"the consumer looks away for {_AWAY_S:g} s after frame {count}; cancel() comes meanwhile")
    async with lab.open(steady(WORDS, Stall())) as bench:
        reading = bench.start(plan=Plan(pause_after=count))
        await lab.until(FINISH_AT_S + STEP_S)
        ack = await bench.cancel(reading.request.task_id)
        await _sees_release(lab, bench)
        reading.go_on.set()
        await _sees_only_the_end(lab, reading, ack)


async def again_and_again(lab: Lab, at_once: bool) -> None:
    """Cancel ten times, one after the other or all at once."""
    lab.given.append(f"ten cancels {'at once' if at_once else 'one after the other'}, and ten after the end")
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(4 * STEP_S)
        await _ten_cancels(bench, reading.request.task_id, at_once=at_once)
        first = bench.lab.transcript.note("kit", "ten cancels have returned")
        await reading.over.wait()
        late = [frame for frame in reading.tokens if frame.number > first.number]
        lab.expect("CAN-03", not late, "repeating a cancel to change nothing", "tokens came after it", *late)
        ends = [frame for frame in reading.frames if frame.kind == "end"]
        lab.expect("CAN-03", len(ends) == 1, "one end", f"{len(ends)} of them", *ends)
        await _ten_cancels(bench, reading.request.task_id, at_once=at_once)


async def finished_and_unknown(lab: Lab) -> None:
    """Cancel what has ended and what never was; later requests are unharmed."""
    async with lab.open(steady()) as bench:
        reading = await bench.read()
        frames = len(reading.frames)
        await bench.cancel(reading.request.task_id)
        lab.expect("CAN-05", len(reading.frames) == frames, "no change to a finished stream", "more frames came")
        await _is_served(lab, bench, "CAN-05")
        await bench.cancel(TaskId("never-submitted"))
        await _is_served(lab, bench, "CAN-06")


async def _is_served(lab: Lab, bench: Bench, check_id: str) -> None:
    after = await bench.read()
    is_whole = after.end is not None and not after.end.canceled
    lab.expect(check_id, is_whole, "the next request to be answered in full", f"it gave {_kinds(after)}")


async def siblings(lab: Lab, moment: Moment) -> None:
    """Cancel one of three streams that run side by side."""
    lab.given.append(f"three streams; the second is canceled at t={moment.at_s:g} s + {moment.checkpoints} checkpoints")
    async with lab.open(steady()) as bench:
        left, victim, right = (bench.start() for _ in range(3))
        await lab.until(moment.at_s, moment.checkpoints)
        ack = await bench.cancel(victim.request.task_id)
        await _sees_only_the_end(lab, victim, ack)
        for sibling in (left, right):
            await sibling.over.wait()
            whole = sibling.text == "".join(WORDS) and sibling.end is not None and not sibling.end.canceled
            actual = f"{sibling.who} got {sibling.text!r} and {_kinds(sibling)}"
            lab.expect("CAN-08", whole, "a sibling to get its whole answer", actual)


async def consumer_is_cancelled(lab: Lab, moment: Moment) -> None:
    """Cancel the consumer's own scope instead of calling cancel()."""
    lab.given.append(f"the consumer's scope is cancelled at t={moment.at_s:g} s + {moment.checkpoints} checkpoints")
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(moment.at_s, moment.checkpoints)
        await _leaves_at_once(lab, reading)
        await _sees_release(lab, bench, "CAN-12")


async def consumer_is_cancelled_in_silence(lab: Lab, frames: int) -> None:
    """Cancel the consumer's scope while it waits for an engine that says nothing: only Cancelled may come of it."""
    lab.given.append(f"the engine falls silent after {frames} frames; then the consumer's scope is cancelled")
    async with lab.open(stalls_after(frames)) as bench:
        reading = bench.start()
        await lab.until(FINISH_AT_S)
        await _leaves_at_once(lab, reading)
        survived = reading.survived
        actual = f"it returned to its cancelled caller: {[entry.what for entry in survived]}"
        lab.expect("ERR-06", not survived, "Cancelled to pass through", actual, *survived)
        lab.expect("ERR-06", reading.scope.cancelled_caught, "Cancelled to pass through", "it never came out")
        await _sees_release(lab, bench, "CAN-12")


async def consumer_leaves(lab: Lab, count: int) -> None:
    """Leave the block after so many frames."""
    lab.given.append(f"the consumer leaves the block after frame {count}")
    async with lab.open(steady(WORDS, Stall())) as bench:
        reading = await bench.read(plan=Plan(leave_after=count))
        _expect_quick(lab, reading, reading.frames[-1].at_s if reading.frames else 0.0)
        await _sees_release(lab, bench, "CAN-12")
        await bench.read(plan=Plan(leave_after=1))


async def silent_engine(lab: Lab, frames: int) -> None:
    """Cancel while the engine says nothing at all."""
    lab.given.append(f"the engine falls silent after {frames} frames; then cancel()")
    async with lab.open(stalls_after(frames)) as bench:
        reading = bench.start()
        await lab.until(FINISH_AT_S)
        ack = await bench.cancel(reading.request.task_id)
        await _sees_only_the_end(lab, reading, ack)
        await _sees_release(lab, bench)


async def waiting_in_line(lab: Lab) -> None:
    """Cancel a request that the engine has not begun, because its only slot is taken."""
    async with lab.open(Script.of(Accept(), Text("One"), Stall()), slots=1) as bench:
        first = bench.start()
        await lab.until(STEP_S)
        second = bench.start()
        await lab.until(2 * STEP_S)
        ack = await bench.cancel(second.request.task_id)
        await _sees_only_the_end(lab, second, ack)
        lab.expect("CAN-08", not first.over.is_set(), "the request on the slot to go on", "it ended too")
        await bench.cancel(first.request.task_id)


async def _sees_only_the_end(lab: Lab, reading: Reading, ack: Ack) -> None:
    with trio.move_on_after(ACK_BOUND_S):
        await reading.over.wait()
    ended = reading.over.is_set()
    lab.require(
        "CAN-02", ended, f"the stream to end within {ACK_BOUND_S:g} s of the cancel", "it is open", ack.returned
    )
    after = [frame for frame in reading.frames if frame.number > ack.returned.number]
    late = [frame for frame in after if frame.kind == "token"]
    actual = f"{len(late)} token(s) came after cancel() had returned"
    lab.expect("CAN-01", not late, "no token after cancel() has returned", actual, *late)
    last = after[-1] if after else None
    is_right = last is None or (last.kind == "end" and last.data.get("canceled") is True)
    actual = f"the stream ended with {last.what if last else None}"
    lab.expect("CAN-02", is_right, "`end` with canceled=True after a cancel", actual, *([last] if last else ()))
    begins = bool(reading.frames) and reading.frames[0].kind == "started"
    lab.expect("CAN-02", begins, "`started` first, also before a cancel's `end`", f"the frames were {_kinds(reading)}")
    was_over = bool(reading.frames) and reading.frames[-1].kind in {"end", "error"}
    lab.expect("CAN-02", was_over, "one terminal event", f"the frames were {_kinds(reading)}")


async def _sees_release(lab: Lab, bench: Bench, check_id: str = "CAN-07") -> None:
    if bench.rig.adapter.cancel_support.mode in {CancelMode.DRAIN, CancelMode.UNSUPPORTED}:
        return
    await trio.sleep(RELEASE_BOUND_S)
    live = bench.facts.live
    expected = f"the engine to have let go within {RELEASE_BOUND_S:g} s"
    lab.expect(check_id, live == 0, expected, f"it still works on {live} request(s)")


async def _leaves_at_once(lab: Lab, reading: Reading) -> None:
    abandoned = reading.abandon()
    with trio.move_on_after(2 * CLEANUP_BOUND_S):
        await reading.over.wait()
    lab.require("CAN-09", reading.over.is_set(), "the block to be left", "it is not left")
    _expect_quick(lab, reading, abandoned.at_s)


def _expect_quick(lab: Lab, reading: Reading, since_s: float) -> None:
    took_s = (reading.left.at_s if reading.left else since_s) - since_s
    expected = f"leaving the block to take at most {CLEANUP_BOUND_S:g} s"
    lab.expect("CAN-09", took_s <= CLEANUP_BOUND_S, expected, f"it took {took_s:g} s")


async def _ten_cancels(bench: Bench, task_id: TaskId, *, at_once: bool) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            if at_once:
                nursery.start_soon(bench.cancel, task_id)
            else:
                await bench.cancel(task_id)


def _kinds(reading: Reading) -> str:
    return ", ".join(frame.kind for frame in reading.frames) or "nothing"


_EVERY_INSTANT = Scene(
    name="every-instant",
    how="A steady engine; cancel() a tick before, at and a tick after each thing it does, and up to five checkpoints "
    "later, under several schedules.",
    cases=joined(each(at_every_instant, beside()), each(at_every_instant, ties(), MOST_SEEDS)),
)
_INSIDE = Scene(
    name="inside-receive",
    how="The consumer cancels its own stream right after it got the k-th frame.",
    cases=each(inside_the_receive, {f"frame-{count}": count for count in range(1, len(WORDS) + 3)}, scripted=False),
)
_NOBODY_READS = Scene(
    name="nobody-reads",
    how="The consumer stops reading after the k-th frame and is not there when cancel() comes.",
    cases=each(while_nobody_reads, {f"frame-{count}": count for count in range(1, len(WORDS) + 2)}),
)
_SILENT = Scene(
    name="silent-engine",
    how="The engine falls silent before it accepts, in prefill, or between tokens; then cancel().",
    cases=each(silent_engine, {f"frames-{frames}": frames for frames in range(4)}),
)
_REPEATED = Scene(
    name="repeated",
    how="Ten cancels of one request, in a row and at once, while it runs and after it has ended.",
    cases=each(again_and_again, {"in-a-row": False, "at-once": True}, 4, scripted=False),
)
_FINISHED = Scene(
    name="finished",
    how="Cancel a finished request and an id that never was, then submit again.",
    cases=one(finished_and_unknown, scripted=False),
)
_IN_LINE = Scene(
    name="in-line",
    how="An engine with one slot; cancel the request that waits for it.",
    cases=one(waiting_in_line),
)
_SIBLINGS = Scene(
    name="siblings",
    how="Three streams side by side; the second is canceled at every instant of the engine.",
    cases=each(siblings, beside() | ties(3)),
)
_SCOPE = Scene(
    name="consumer-cancelled",
    how="The consumer's own cancel scope is cancelled at every instant of the engine.",
    cases=each(consumer_is_cancelled, moments()),
)
_SCOPE_IN_SILENCE = Scene(
    name="consumer-in-silence",
    how="The consumer's scope is cancelled while the adapter waits for a silent engine, in each phase.",
    cases=each(consumer_is_cancelled_in_silence, {f"frames-{frames}": frames for frames in range(4)}, 2),
)
_LEAVES = Scene(
    name="consumer-leaves",
    how="The consumer leaves the block after the k-th frame, with the engine still at work.",
    cases=each(consumer_leaves, {f"frame-{count}": count for count in range(1, len(WORDS) + 2)}, scripted=False),
)


_RACES = (_EVERY_INSTANT, _INSIDE, _NOBODY_READS)
_WAITS = (_SILENT, _IN_LINE)
CONSUMER_SCENES = (_SCOPE, _SCOPE_IN_SILENCE, _LEAVES)
"""The scenes in which a consumer goes without calling cancel()."""


def _cancel(
    check_id: str, title: str, scenes: tuple[Scene, ...], *requirements: str, causes: tuple[str, ...] = ()
) -> Check:
    return Check(id=check_id, title=title, group=Group.CANCEL, requirements=requirements, scenes=scenes, causes=causes)


CHECKS = (
    _cancel(
        "CAN-01",
        "no token after cancel() has returned",
        (*_RACES, LATER, CANCELED_IN_ONE_PIECE),
        "ADAPT-3101a",
        causes=(
            "the cancel flag is looked at, then a checkpoint passes, then the token is given",
            "cancel() returns before it has sealed the stream",
            "tokens that were buffered are still given",
        ),
    ),
    _cancel(
        "CAN-02",
        "a canceled stream ends with one `end` that says so, soon",
        (*_RACES, *_WAITS),
        "ADAPT-3101a",
        "ADAPT-3101b",
        causes=(
            "the reader is not woken",
            "the terminal event of the engine is given instead",
            "a request that waits for the engine's headers is not registered yet",
        ),
    ),
    _cancel(
        "CAN-03",
        "cancel() returns without an error, and repeating it changes nothing",
        (_REPEATED, _FINISHED),
        "ADAPT-3101c",
        causes=("the second cancel finds the entry gone and raises",),
    ),
    _cancel(
        "CAN-05",
        "cancelling a finished request changes nothing",
        (_FINISHED,),
        "ADAPT-3101c",
        causes=("finished requests are not taken out of the table",),
    ),
    _cancel(
        "CAN-06",
        "cancelling an unknown id harms nobody",
        (_FINISHED,),
        "ADAPT-3101c",
        causes=(
            "ids that were cancelled are kept, and met again by a later request",
            "an id that is not in the table is an error",
        ),
    ),
    _cancel(
        "CAN-07",
        "the engine lets go of a canceled request",
        (*_RACES, *_WAITS),
        "ADAPT-3101e",
        causes=(
            "the connection is only closed when the consumer leaves the block",
            "the response is read to its end before the connection is closed",
        ),
    ),
    _cancel(
        "CAN-08",
        "cancelling one stream leaves the others alone",
        (_SIBLINGS, _IN_LINE, ALIKE),
        "ADAPT-3101g",
        causes=("one flag for the whole adapter", "a shared connection is closed"),
    ),
    _cancel(
        "CAN-09",
        "leaving the block, by whatever way, is quick",
        CONSUMER_SCENES,
        "ADAPT-3101f",
        causes=("clean-up without a shield and a bound", "the rest of the body is read before leaving"),
    ),
    _cancel(
        "CAN-10",
        "cancel() does not wait for a silent engine",
        (_SILENT,),
        "ADAPT-3101d",
        causes=("the engine's answer to its own cancel call is awaited without a bound",),
    ),
    Check(
        id="ERR-06",
        title="`Cancelled` passes through",
        group=Group.ERRORS,
        requirements=("ADAPT-3002b",),
        scenes=(_SCOPE_IN_SILENCE,),
        causes=("`except BaseException` that does not re-raise", "Cancelled turned into a WorkerError"),
    ),
)
