"""Reports of engines that are not what they were: restarted as another version, one of two, or silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import WorkerError
from conformance.check import Scene, each, one
from conformance.engines.script import Accept, Script, Stall, Text
from conformance.findings import NotApplicable
from conformance.times import STEP_S

from .sameness import said
from .scripts import quick, steady

if TYPE_CHECKING:
    from conformance.bench import Bench
    from conformance.lab import Lab

_SETTLE_S = 30.0  # longer than any cache or back-off of a report may last


async def another_version_is_told(lab: Lab, noticed_by: str) -> None:
    """Restart the engine as another version, which health or a stream has noticed; then compare all that is told."""
    async with lab.open(Script.of(Accept(), Text("One"), Stall()), quick("Hello")) as bench:
        if bench.rig.upgrade is None:
            raise NotApplicable("the subject's engine has one version")
        for ask in (bench.engine_version, bench.capabilities):
            await ask()  # what is remembered is of the first version
        reading = bench.start()
        await trio.sleep(STEP_S)
        wanted = bench.rig.upgrade()
        lab.transcript.note("engine", f"its next process is of version {wanted}")
        bench.rig.stop()
        await reading.over.wait()
        if noticed_by == "health":
            await bench.health()
        bench.rig.start()
        await trio.sleep(_SETTLE_S)
        if noticed_by == "health":
            await bench.health()
        await _expect_version(lab, bench, wanted)


async def _expect_version(lab: Lab, bench: Bench, wanted: str) -> None:
    started = (await bench.read()).frames[:1]
    told = {
        "`started`": started[0].data.get("engine_version", wanted) if started else None,
        "engine_version()": await bench.engine_version(),
        "capabilities()": (await bench.capabilities()).engine_version,
    }
    for place, version in told.items():
        expected = f"the version after the restart, {wanted!r}, in {place}"
        lab.expect("HPC-06", version == wanted, expected, f"{version!r}")


async def replicas_are_told_apart(lab: Lab) -> None:
    """Open adapters on two engines of other sizes and ask them in turns."""
    stalled = Script.of(Accept(), Text("One"), Stall())
    async with lab.open(stalled, slots=4) as large, lab.open(stalled, slots=2) as small:
        large.start()
        await trio.sleep(STEP_S)
        for _ in range(2):
            for bench, total, free in ((large, 4, 3), (small, 2, 2)):
                props = await bench.props()
                lab.expect("HPC-04", props.slots_total in {None, total}, f"slots_total={total}", f"{props!r}")
                lab.expect("HPC-04", props.slots_free in {None, free}, f"slots_free={free}", f"{props!r}")
        large.stop_reading()


async def a_silent_engine_is_not_waited_for(lab: Lab) -> None:
    """Ask for everything while connections open and nothing is ever answered."""
    lab.need("connection")
    lab.given.append("every connection opens and nothing comes on it")
    async with lab.open(quick("Hello"), silent_after=0) as bench:
        health = await bench.health()
        lab.expect("HPC-02", not health.ready, "an engine that answers nothing not to be ready", f"{health!r}")
        for ask in (bench.props, bench.capabilities, bench.engine_version):
            try:
                await ask()
            except WorkerError:
                continue


async def asking_does_not_disturb_a_stream(lab: Lab) -> None:
    """Ask for everything at every step of a stream, and compare it with one that was left alone."""
    async with lab.open(steady()) as bench:
        wanted = said(await bench.read())
        reading = bench.start()
        while not reading.over.is_set():
            for ask in (bench.health, bench.props, bench.capabilities, bench.engine_version):
                await ask()
            await trio.sleep(STEP_S)
        lab.expect("HPC-03", said(reading) == wanted, f"a stream as one alone: {wanted}", f"{said(reading)}")


async def health_forgets_what_was(lab: Lab) -> None:
    """Let the engine die and come back several times, and ask for health each time."""
    async with lab.open(quick("Hello")) as bench:
        for life in range(3):
            await trio.sleep(_SETTLE_S)
            health = await bench.health()
            lab.expect("HPC-01", health.ready, f"ready=True in its life {life}", f"{health!r}")
            bench.rig.stop()
            await trio.sleep(STEP_S)
            health = await bench.health()
            lab.expect("HPC-01", not health.live, f"live=False after its life {life}", f"{health!r}")
            bench.rig.start()


RESTARTS = Scene(
    name="another-version",
    how="The engine comes back as another version, noticed by health or by a stream that was lost.",
    cases=each(another_version_is_told, {who: who for who in ("health", "a-stream")}),
)
REPLICAS = Scene(
    name="two-replicas", how="Two engines of other sizes, asked in turns.", cases=one(replicas_are_told_apart)
)
SILENT = Scene(
    name="unanswered-reports",
    how="Connections open, and nothing is answered on them.",
    cases=one(a_silent_engine_is_not_waited_for),
)
BESIDE = Scene(
    name="beside-a-stream", how="Each report at each step of a stream.", cases=one(asking_does_not_disturb_a_stream)
)
LIVES = Scene(name="three-lives", how="The engine dies and returns, three times.", cases=one(health_forgets_what_was))
