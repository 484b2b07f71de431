"""Stopping early: before the start, while connecting, during a report; and what the engine sees of who leaves.

Cancels of a stream that speaks are `cancel.py`'s.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from adapter_api import CancelMode, WorkerError
from conformance.check import MOST_SEEDS, Check, Group, Level, Scene, each, joined
from conformance.findings import NotApplicable
from conformance.times import ACK_BOUND_S, RELEASE_BOUND_S, STEP_S, TICK_S

from .cancel import CONSUMER_SCENES
from .scripts import CHECKPOINTS, WORDS, Moment, quick, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading
    from conformance.transcript import Entry

_SLOW_DIAL_S = 1.0
_WATCHED_S = 4.0  # longer than any dial or pause here; idle connections are kept for longer, so one would be seen


async def in_the_instant_of_the_submit(lab: Lab, checkpoints: int) -> None:
    """Cancel in the same instant as the submit, so many checkpoints later."""
    lab.given.append(f"cancel() in the instant of the submit, {checkpoints} checkpoints after it")
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(0, checkpoints)
        await _stops_before_its_start(lab, bench, reading)


async def while_it_connects(lab: Lab, moment: Moment) -> None:
    """Cancel while each connection takes a step."""
    lab.need("connection")
    when = f"t={moment.at_s:g} s + {moment.checkpoints} checkpoints"
    lab.given.append(f"connections take {STEP_S:g} s; cancel() at {when}")
    async with lab.open(steady(), dial_s=STEP_S) as bench:
        reading = bench.start()
        await lab.until(moment.at_s, moment.checkpoints)
        before = bench.facts.submitted
        await _stops_before_its_start(lab, bench, reading)
        if moment.at_s % STEP_S == 0:  # a connection was made at this instant: what was sent on it is on its way
            await lab.settle()
            before = bench.facts.submitted
        await trio.sleep(RELEASE_BOUND_S)
        late = bench.facts.submitted - before
        lab.expect("CAN-04", late <= 0, "nothing to be asked of the engine after the cancel", f"{late} request(s)")


async def one_of_two_that_connect(lab: Lab, victim: int) -> None:
    """Submit twice in one instant and cancel one of them while both connect; the other has to be served."""
    lab.given.append(f"two submits at once; cancel() of the {'second' if victim else 'first'} at t={STEP_S / 2:g} s")
    async with lab.open(steady(), dial_s=STEP_S) as bench:
        readings = [bench.start() for _ in range(2)]
        await lab.until(STEP_S / 2)
        await _stops_before_its_start(lab, bench, readings.pop(victim))
        await readings[0].over.wait()
        text = readings[0].text
        lab.expect("CAN-04", text == "".join(WORDS), "the other request to get its whole answer", f"{text!r}")


async def _stops_before_its_start(lab: Lab, bench: Bench, reading: Reading) -> None:
    was_submitted = any(entry.who == reading.who for entry in lab.transcript.entries)
    ack = await bench.cancel(reading.request.task_id)
    if not was_submitted:  # unknown at that time, so nothing was canceled
        await reading.over.wait()
        return
    with trio.move_on_after(ACK_BOUND_S):
        await reading.over.wait()
    expected = f"the stream to be over within {ACK_BOUND_S:g} s of the cancel"
    lab.require("CAN-04", reading.over.is_set(), expected, "it is open", ack.returned)
    kinds = [frame.kind for frame in reading.frames if frame.kind != "metrics"]
    is_right = kinds == ["started", "end"] and reading.end is not None and reading.end.canceled
    actual = f"the frames were {[frame.what for frame in reading.frames]}"
    lab.expect("CAN-04", is_right, "`started` and `end` with canceled=True", actual, *reading.frames[-1:])


async def a_connect_is_given_up(lab: Lab, way: tuple[str, float]) -> None:
    """Cancel a submit or its consumer while the first connection is being made."""
    how, at_s = way
    lab.need("connection")
    lab.given.append(f"connections take {_SLOW_DIAL_S:g} s; at t={at_s:g} s comes {how}")
    async with lab.open(quick("Hello"), dial_s=_SLOW_DIAL_S) as bench:
        reading = bench.start()
        await lab.until(at_s)
        if bench.facts.connections:
            raise NotApplicable("connections of this subject take no time")
        cancels = how == "cancel()"
        stopped = (await bench.cancel(reading.request.task_id)).called if cancels else reading.abandon()
        await reading.over.wait()
        _expect_at_once(lab, "the submit", stopped.at_s, reading.left)
        await _sees_no_connection(lab, bench)


async def a_report_is_given_up(lab: Lab, when: tuple[str, float]) -> None:
    """Cancel who asks for a report, while the adapter connects to a dead engine or pauses between two tries."""
    name, after_s = when
    lab.need("connection")
    lab.given.append(f"the engine is dead; {after_s:g} s after {name}() was called its caller is cancelled")
    async with lab.open(quick("Hello")) as bench:
        bench.rig.stop()
        await trio.sleep(STEP_S)
        scope, asks = trio.CancelScope(), _reports(bench)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ask, asks[name], scope)
            await trio.sleep(after_s)
            cancelled = lab.transcript.note("kit", f"the caller of {name}() is cancelled")
            scope.cancel()
        _expect_at_once(lab, f"{name}()", cancelled.at_s, lab.transcript.note("kit", f"{name}() is over"))
        bench.rig.start()
        await _sees_no_connection(lab, bench)


async def _ask(work: Callable[[], Awaitable[object]], scope: trio.CancelScope) -> None:
    with scope, suppress(WorkerError):
        await work()


def _reports(bench: Bench) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "health": bench.health,
        "props": bench.props,
        "capabilities": bench.capabilities,
        "engine_version": bench.engine_version,
    }


def _expect_at_once(lab: Lab, what: str, since_s: float, over: Entry | None) -> None:
    took_s = (over.at_s if over else since_s) - since_s
    lab.expect("CAN-11", took_s <= TICK_S, f"{what} to end at once", f"it took {took_s:g} s", *([over] if over else ()))


async def _sees_no_connection(lab: Lab, bench: Bench) -> None:
    for _ in range(round(_WATCHED_S / STEP_S)):
        count = bench.facts.connections
        lab.require("CAN-11", count == 0, "no connection for a caller who is gone", f"{count} open")
        await trio.sleep(STEP_S)


async def the_consumer_does_not_read(lab: Lab, after_s: float) -> None:
    """Enter the block, read nothing, and leave."""
    lab.given.append(f"the consumer leaves {after_s:g} s after the submit and has read nothing")
    async with lab.open(steady((*WORDS, *WORDS))) as bench:
        async with bench.rig.adapter.submit(bench.request()):
            await lab.until(after_s)
        if bench.rig.adapter.cancel_support.mode in {CancelMode.DRAIN, CancelMode.UNSUPPORTED}:
            return
        await trio.sleep(RELEASE_BOUND_S)
        _expect_live(lab, bench, 0)


async def the_second_consumer_leaves(lab: Lab, is_cancelled: bool) -> None:
    """Let the second of three consumers go, by leaving or under cancellation; the others read on for long."""
    lab.need("parallel")
    lab.given.append(f"three streams; the second consumer {'is cancelled' if is_cancelled else 'leaves'} early")
    words = tuple(f" {number}" for number in range(40))
    async with lab.open(steady(words)) as bench:
        readings = [bench.start()]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_read_for_a_while, bench, nursery.cancel_scope, is_cancelled)
            await trio.sleep(STEP_S)
            readings.append(bench.start())
        await trio.sleep(RELEASE_BOUND_S)
        if bench.rig.adapter.cancel_support.mode not in {CancelMode.DRAIN, CancelMode.UNSUPPORTED}:
            _expect_live(lab, bench, 2)
        for reading in readings:
            await reading.over.wait()
            lab.expect("CAN-12", reading.text == "".join(words), "a neighbour to get everything", f"{reading.text!r}")


async def _read_for_a_while(bench: Bench, scope: trio.CancelScope, is_cancelled: bool) -> None:
    async with bench.rig.adapter.submit(bench.request()) as events:
        with trio.move_on_after(5 * STEP_S):
            async for _event in events:
                await trio.lowlevel.checkpoint()
        if is_cancelled:
            scope.cancel()
            await trio.lowlevel.checkpoint()


def _expect_live(lab: Lab, bench: Bench, count: int) -> None:
    live = bench.facts.live
    expected = f"{count} request(s) at work {RELEASE_BOUND_S:g} s after the consumer has left"
    lab.expect("CAN-12", live == count, expected, f"the engine works on {live}")


_CONNECTING = {f"{number / 2:g}-steps": Moment(number / 2 * STEP_S) for number in range(1, 8)} | {
    f"dial-{name}": Moment(STEP_S + shift_s, extra)
    for name, shift_s, extra in (
        ("before", -TICK_S, 0),
        ("after", TICK_S, 0),
        *((f"tie+{extra}", 0.0, extra) for extra in range(1, CHECKPOINTS)),
    )
}
_CONNECTS = {
    f"{name}-{round(at_s * 1000)}-ms": (how, at_s)
    for name, how in (("cancel", "cancel()"), ("scope", "a cancel of the consumer's scope"))
    for at_s in (TICK_S, _SLOW_DIAL_S / 2, _SLOW_DIAL_S - TICK_S)
}
_REPORTS = {
    f"{name.replace('_', '-')}-{number}": (name, number * STEP_S / 8)
    for name in ("health", "props", "capabilities", "engine_version")
    for number in (1, 3, 8)
}
_SAME_INSTANT = Scene(
    name="same-instant",
    how="cancel() in the instant of the submit, up to five checkpoints after it, under several schedules.",
    cases=each(in_the_instant_of_the_submit, {f"tie+{extra}": extra for extra in range(CHECKPOINTS)}, 4),
)
_IN_CONNECT = Scene(
    name="connecting",
    how="Connections take a step; cancel() while they are made, in the instant in which one is there, and until the "
    "engine has the request; and of one of two that connect at once.",
    cases=joined(
        each(while_it_connects, _CONNECTING),
        each(one_of_two_that_connect, {"first-of-two": 0, "second-of-two": 1}, 2),
    ),
)
_GIVEN_UP = Scene(
    name="given-up",
    how="Who waits for a connection, or for a report between two tries, is cancelled.",
    cases=joined(each(a_connect_is_given_up, _CONNECTS), each(a_report_is_given_up, _REPORTS)),
)
_UNREAD = Scene(
    name="left-unread",
    how="The consumer leaves without reading: at once, before the engine accepts, in prefill, and while it speaks.",
    cases=each(the_consumer_does_not_read, {f"{number}-steps": number * STEP_S for number in (0, 0.5, 2, 5)}),
)
_ONE_OF_THREE = Scene(
    name="one-of-three-leaves",
    how="Three streams; the second consumer leaves, or its scope is cancelled.",
    cases=each(the_second_consumer_leaves, {"leaves": False, "is-cancelled": True}, MOST_SEEDS),
)

CHECKS = (
    Check(
        id="CAN-04",
        title="a cancel before the start is kept",
        group=Group.CANCEL,
        requirements=("ADAPT-3101a", "ADAPT-3101b"),
        scenes=(_SAME_INSTANT, _IN_CONNECT),
        causes=(
            "the request is registered only when the engine has it",
            "the cancel scope is opened after the first await",
            "the request that learns facts for all is stopped and the others with it",
        ),
    ),
    Check(
        id="CAN-11",
        title="who is cancelled while connecting or between two tries ends at once and tries no more",
        group=Group.CANCEL,
        level=Level.SHOULD,
        requirements=("ADAPT-3005h",),
        scenes=(_GIVEN_UP,),
        causes=("a shield around the connect or the pause", "the connection is made by a task of the adapter's own"),
    ),
    Check(
        id="CAN-12",
        title="the engine stops for a consumer that leaves",
        group=Group.CANCEL,
        requirements=("ADAPT-3101f",),
        scenes=(*CONSUMER_SCENES, _UNREAD, _ONE_OF_THREE),
        causes=("the stream is read on by a task in the background", "only cancel() closes the connection"),
    ),
)
