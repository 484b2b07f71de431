"""Life cycle: opening, closing, and what a consumer may do in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import PoolUnavailable, WorkerError
from conformance.check import Check, Group, Level, Scene, each, joined, one
from conformance.engines.script import Pause, Script, Stall
from conformance.findings import Finding, NotApplicable, Stop
from conformance.times import RELEASE_BOUND_S, STEP_S, TICK_S

from .scripts import WORDS, Moment, beside, quick, steady, ties

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapter_api import TaskId, TokenEvent
    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading

_LOADING_S = 8.0
_NEVER = float("inf")
_DEAD: dict[str, tuple[str | None, float]] = {"are refused": ("Connection refused", 0.0), "never come": (None, _NEVER)}
_GRACE_S = 10.0


@final
class _ConsumersOwn(Exception):
    """What goes wrong in the consumer, and is nobody else's business."""


async def opens_twice(lab: Lab) -> None:
    """Open, use and close twice; nothing of the first life may show in the second."""
    seen: list[object] = []
    for _ in range(2):
        async with lab.open(quick("Hello", " there")) as bench:
            first = await bench.capabilities(), await bench.props(), await bench.health()
            reading = await bench.read()
            seen.append((first, [(frame.kind, dict(frame.data)) for frame in reading.frames]))
    lab.expect("LIF-01", seen[0] == seen[1], f"the second life to be like the first: {seen[0]}", f"{seen[1]}")


async def refuses_while_loading(lab: Lab) -> None:
    """Submit while the engine loads, and again when it is ready."""
    async with lab.open(Script.of(*quick("Hello").steps, loading_s=_LOADING_S)) as bench:
        await lab.until(1.0)
        refused = await bench.read()
        is_right = isinstance(refused.error, PoolUnavailable) and refused.error.retriable
        actual = f"it gave {refused.last.what if refused.last else 'nothing'}"
        lab.expect("LIF-02", is_right, "PoolUnavailable, retriable, while the engine loads", actual)
        await lab.until(_LOADING_S + 1)
        served = await bench.read()
        lab.expect("LIF-02", served.text == "Hello", "a request to be served once it has loaded", f"{served.text!r}")


async def closes_under_open_streams(lab: Lab, count: int) -> None:
    """Close the adapter while a consumer waits for the frame after the k-th."""
    lab.given.append(f"the adapter is closed while a consumer waits after frame {count}")
    async with trio.open_nursery() as outside:
        async with lab.open(Script.of(*steady(WORDS[: max(0, count - 1)], Stall()).steps)) as bench:
            reading = bench.start(nursery=outside)
            await lab.until((3 + count) * STEP_S if count else STEP_S / 2)
        with trio.move_on_after(_GRACE_S):
            await reading.over.wait()
        if not reading.over.is_set():
            lab.expect("LIF-05", False, f"the stream to end within {_GRACE_S:g} s of closing", "it hangs")
            reading.abandon()


async def closes_at_an_instant(lab: Lab, when: tuple[Moment, bool]) -> None:
    """Close the adapter at an instant of the engine; with True a cancel() comes at that instant too."""
    moment, is_canceled = when
    at_s = RELEASE_BOUND_S + moment.at_s  # the block is left so much earlier: the kit looks for leaks first
    with_cancel = f", and cancel() comes {moment.checkpoints} checkpoints after it" if is_canceled else ""
    lab.given.append(f"the adapter is closed at t={at_s:g} s while a consumer reads{with_cancel}")
    async with trio.open_nursery() as outside:
        async with lab.open(Script.of(Pause(RELEASE_BOUND_S), *steady().steps)) as bench:
            reading = bench.start(nursery=outside)
            if is_canceled:
                task_id = reading.request.task_id
                outside.start_soon(_cancel_id_at, lab, bench, task_id, Moment(at_s, moment.checkpoints))  # noqa: ASYNC111 - it is to come when the adapter is closed
            await lab.until(moment.at_s)
        await _is_over(lab, reading)


async def _cancel_id_at(lab: Lab, bench: Bench, task_id: TaskId, moment: Moment) -> None:
    lab.readers.append(trio.lowlevel.current_task())  # ours, not the adapter's
    await lab.until(moment.at_s, moment.checkpoints)
    await bench.cancel(task_id)


async def _is_over(lab: Lab, reading: Reading) -> None:
    with trio.move_on_after(_GRACE_S):
        await reading.over.wait()
    if not reading.over.is_set():
        lab.expect("LIF-05", False, f"the stream to end within {_GRACE_S:g} s of closing", "it hangs")
        reading.abandon()
        return
    endings = [frame for frame in reading.frames if frame.kind in {"end", "error"}]
    lab.expect("LIF-05", len(endings) == 1, "one ending", f"{len(endings)} of them", *endings[1:])
    said = "".join(WORDS)
    is_true = said.startswith(reading.text) and (reading.end is None or reading.end.canceled or reading.text == said)
    actual = f"{reading.text!r}, then {reading.last.what if reading.last else 'nothing'}"
    lab.expect("LIF-05", is_true, "an `end` only where the engine has ended", actual, *reading.frames[-1:])


async def opens_on_a_dead_engine(lab: Lab, how: str) -> None:
    """Open while no connection can be made; the adapter opens and says so, or fails and leaves nothing behind."""
    lab.need("connection")
    lab.given.append(f"from before the opening on, connections {how}")
    error, dial_s = _DEAD[how]
    before = trio.lowlevel.current_statistics().tasks_living
    try:
        with trio.move_on_after(_GRACE_S) as patience:
            async with lab.open(quick("Hello"), dial_error=error, dial_s=dial_s) as bench:
                patience.deadline = _NEVER
                await _is_ill(lab, bench)
        lab.expect("LIF-07", not patience.cancelled_caught, f"to be open within {_GRACE_S:g} s", "it still opens")
    except* (Stop, NotApplicable):
        raise
    except* WorkerError as refusals:
        lab.hear(refusals)
    except* Exception as errors:  # noqa: BLE001 - whatever a foreign adapter throws is a finding
        lab.hear(errors)
        lab.find(Finding("LIF-07", "an open adapter, or a WorkerError", f"{errors.exceptions!r}"))
    left = trio.lowlevel.current_statistics().tasks_living - before
    lab.expect("LIF-07", left <= 0, "nothing left behind", f"{left} task(s)")


async def _is_ill(lab: Lab, bench: Bench) -> None:
    health = await bench.health()
    told = lab.transcript.entries[-1]
    reading = await bench.read()
    if reading.text:
        raise NotApplicable("connections of this subject are as always")
    lab.expect("LIF-07", not health.ready, "ready=False, because the engine is not there", f"{health!r}", told)
    lab.expect("LIF-07", reading.error is not None, "a submit to fail", f"{reading.frames}", *reading.frames[-1:])


async def refuses_after_closing(lab: Lab) -> None:
    """Submit to an adapter that is closed."""
    async with trio.open_nursery() as outside:
        async with lab.open(steady()) as bench:
            await bench.health()
        reading = bench.start(nursery=outside)
        with trio.move_on_after(_GRACE_S):
            await reading.over.wait()
        actual = f"it gave {reading.last.what if reading.last else 'nothing'}"
        is_refused = reading.over.is_set() and isinstance(reading.error, WorkerError)
        lab.expect("LIF-06", is_refused, "a WorkerError from a closed adapter, at once", actual)
        reading.abandon()


async def raises_out_of_a_read(lab: Lab, when: tuple[Moment, float | None]) -> None:
    """Break a read off by a scope of the consumer's own, and raise in the block; a cancel() may come so much before."""
    moment, before_s = when
    with_cancel = "" if before_s is None else f", and cancel() comes {before_s:g} s before"
    lab.given.append(f"the consumer stops reading at t={moment.at_s:g} s and raises its own exception{with_cancel}")
    own = _ConsumersOwn("the consumer's own")
    async with lab.open(steady()) as bench, trio.open_nursery() as beside_it:
        request = bench.request()
        if before_s is not None:
            beside_it.start_soon(_cancel_id_at, lab, bench, request.task_id, Moment(moment.at_s - before_s))
        caught: BaseException | None = None
        try:
            async with bench.rig.adapter.submit(request) as events:
                with trio.move_on_at(moment.at_s):
                    await _read_on(events)
                raise own
        except Exception as error:  # noqa: BLE001 - whatever comes out instead is what we look for
            caught = error
        lab.expect("LIF-08", caught is own, "the consumer's own exception, as it is", f"{caught!r}")


async def _read_on(events: AsyncIterator[TokenEvent]) -> None:
    async for _event in events:
        pass


async def lets_the_consumers_errors_through(lab: Lab, count: int) -> None:
    """Raise an exception of the consumer's own inside the block, after so many frames."""
    lab.given.append(f"the consumer raises an exception of its own after frame {count}")
    own = _ConsumersOwn("the consumer's own")
    async with lab.open(steady(WORDS, Stall())) as bench:
        caught: BaseException | None = None
        try:
            async with bench.rig.adapter.submit(bench.request()) as events:
                for _ in range(count):
                    await anext(events)
                raise own
        except Exception as error:  # noqa: BLE001 - whatever comes out instead is what we look for
            caught = error
        lab.expect("LIF-08", caught is own, "the consumer's own exception, as it is", f"{caught!r}")


def _scene(check_id: str, title: str, scene: Scene, *requirements: str, causes: tuple[str, ...] = ()) -> Check:
    return Check(id=check_id, title=title, group=Group.LIFE, requirements=requirements, scenes=(scene,), causes=causes)


CHECKS = (
    _scene(
        "LIF-01",
        "a second life is like the first",
        Scene(name="two-lives", how="Open, ask, submit and close, twice.", cases=one(opens_twice)),
        "ADAPT-3101f",
        causes=("state at module level",),
    ),
    _scene(
        "LIF-02",
        "a loading engine refuses, and serves when it has loaded",
        Scene(name="loading", how="Submit while the engine loads, and afterwards.", cases=one(refuses_while_loading)),
        "ADAPT-3000a",
        causes=(
            "a submit is passed on whatever health says",
            "the engine's refusal while it loads is taken for a failure for good",
        ),
    ),
    _scene(
        "LIF-05",
        "closing the adapter ends what is open",
        Scene(
            name="closing",
            how="The adapter is closed while a consumer waits after the k-th frame, at each instant of the engine, a "
            "tick before and after it, and together with a cancel().",
            cases=joined(
                each(closes_under_open_streams, {f"frame-{count}": count for count in range(4)}),
                each(closes_at_an_instant, {name: (at, False) for name, at in beside().items()}),
                each(closes_at_an_instant, {name: (at, False) for name, at in ties(1).items()}),
                each(closes_at_an_instant, {f"cancel-{name}": (at, True) for name, at in ties(1).items()}, 2),
            ),
        ),
        "ADAPT-3101f",
        causes=("the client is closed and its readers are not woken",),
    ),
    _scene(
        "LIF-06",
        "a closed adapter refuses",
        Scene(name="closed", how="Submit after closing.", cases=one(refuses_after_closing, scripted=False)),
        "ADAPT-3002",
        "ADAPT-3005",
        causes=(
            "the client opens itself again when it is used",
            "the library's own error of a closed client leaves the adapter",
        ),
    ),
    Check(
        id="LIF-07",
        title="an adapter opens on an engine that is down, and says so",
        group=Group.LIFE,
        level=Level.SHOULD,
        requirements=("ADAPT-3000i",),
        scenes=(
            Scene(
                name="opened-on-a-dead-engine",
                how="No connection can be made from before the opening on: refused, and never made.",
                cases=each(opens_on_a_dead_engine, {how.replace(" ", "-"): how for how in _DEAD}),
            ),
        ),
        causes=("the engine is asked while the adapter opens", "health is taken for good until it is asked for"),
    ),
    _scene(
        "LIF-08",
        "the consumer's own exceptions pass through unchanged",
        Scene(
            name="own-exceptions",
            how="The consumer raises after the k-th frame, out of a read at each instant of the engine, and together "
            "with a cancel().",
            cases=joined(
                each(raises_out_of_a_read, {name: (at, None) for name, at in beside().items()}),
                each(raises_out_of_a_read, {f"cancel-at-{name}": (at, 0.0) for name, at in ties(1).items()}),
                each(raises_out_of_a_read, {f"cancel-before-{name}": (at, TICK_S) for name, at in ties(1).items()}),
                each(
                    lets_the_consumers_errors_through, {f"frame-{count}": count for count in range(3)}, scripted=False
                ),
                each(lets_the_consumers_errors_through, {"frame-3": 3}),
            ),
        ),
        "ADAPT-3101f",
        causes=("a nursery inside the stream wraps them in a group", "`except Exception` around the yield"),
    ),
)
