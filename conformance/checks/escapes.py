"""Steps outside of the case: the real clock, threads, the network, randomness, files, and what is left of them.

The watch over a case hears most of them under every scene, and what is left with the operating system is counted after
every case. Here the usual things are done once more under a profile, which hears also a clock that is held under a
name of its own; it is too slow for everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import WorkerError
from conformance.check import Check, Group, Scene, each
from conformance.engines.script import Accept, Script, Text
from conformance.escape.watch import closely
from conformance.reading import Plan
from conformance.times import STEP_S

from .scripts import FIRST_TOKEN_S, IDLE_S, stalls_after, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conformance.lab import Lab

    Doing = Callable[[Lab], Awaitable[None]]


async def under_the_profile(lab: Lab, doing: Doing) -> None:
    """Do one of the usual things while every call is heard."""
    with closely():
        await doing(lab)


async def _serves(lab: Lab) -> None:
    async with lab.open(steady()) as bench:
        await bench.read()
        await bench.read(bench.request(deadline_ms=60_000))


async def _is_stopped(lab: Lab) -> None:
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(4 * STEP_S)
        await bench.cancel(reading.request.task_id)
        await bench.read(plan=Plan(leave_after=2))


async def _waits(lab: Lab) -> None:
    async with lab.open(stalls_after(0), stalls_after(2), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        await bench.read()
        await bench.read()


async def _reports(lab: Lab) -> None:
    async with lab.open(Script.of(Accept(), Text("One"))) as bench:
        for _ in range(2):
            await bench.health()
            for ask in (bench.props, bench.capabilities, bench.engine_version):
                try:
                    await ask()
                except WorkerError:
                    continue
            bench.rig.stop()
            await trio.sleep(STEP_S)


async def _fails(lab: Lab) -> None:
    """One failure of each sort: under a profile, all of them would take longer than all else."""
    faults = [fault for fault in lab.subject.faults(lab.spec) if not fault.is_down and fault.deadline_ms is None]
    sorts = {(fault.kind, fault.retriable, fault.blames_request): fault.script for fault in faults}
    async with lab.open(*sorts.values(), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        for _ in sorts:
            await bench.read()


_DOINGS: dict[str, Doing] = {
    "serves": _serves,
    "is-stopped": _is_stopped,
    "waits": _waits,
    "reports": _reports,
    "fails": _fails,
}
_OUTSIDE = Scene(
    name="outside",
    how="The usual things once more, under a profile that hears every call: two answers, a cancel and a consumer that "
    "leaves, two silences, reports of a living and a dead engine, and a failure of each sort in a row.",
    cases=each(under_the_profile, _DOINGS),
)

CHECKS = (
    Check(
        id="TMO-09",
        title="time comes from Trio's clock: no other clock, no blocking, no thread",
        group=Group.TIMEOUTS,
        requirements=("ADAPT-3005e", "ADAPT-3005f"),
        scenes=(_OUTSIDE,),
        causes=(
            "time.sleep() or a library's own back-off between two tries",
            "a time stamp or a duration from the time or datetime module",
            "a blocking client of the engine, called in a thread",
        ),
    ),
    Check(
        id="DET-07",
        title="randomness comes from the context alone",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003b",),
        scenes=(_OUTSIDE,),
        causes=("random.random() for jitter", "uuid4() or secrets for the ids of requests"),
    ),
    Check(
        id="DET-08",
        title="the engine is reached through the context, and nothing else outside is touched",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3000f",),
        scenes=(_OUTSIDE,),
        causes=(
            "an HTTP client that opens its own sockets",
            "a probe of the port before the request",
            "a cache on disk",
        ),
    ),
    Check(
        id="LEA-06",
        title="open files, threads and child processes are as before",
        group=Group.LEAKS,
        requirements=("ADAPT-3101h",),
        scenes=(_OUTSIDE,),
        causes=(
            "a pipe or a file per request that is closed on one path only",
            "a pool of threads that is never shut down",
        ),
    ),
)
