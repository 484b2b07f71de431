"""Life cycle: opening, closing, and what a consumer may do in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import PoolUnavailable, WorkerError
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Script, Stall
from conformance.times import STEP_S

from .scripts import WORDS, quick, steady

if TYPE_CHECKING:
    from conformance.lab import Lab

_LOADING_S = 8.0
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
    ),
    _scene(
        "LIF-05",
        "closing the adapter ends what is open",
        Scene(
            name="closing",
            how="The adapter is closed while a consumer waits after the k-th frame.",
            cases=each(closes_under_open_streams, {f"frame-{count}": count for count in range(4)}),
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
    ),
    _scene(
        "LIF-08",
        "the consumer's own exceptions pass through unchanged",
        Scene(
            name="own-exceptions",
            how="The consumer raises after the k-th frame.",
            cases=joined(
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
