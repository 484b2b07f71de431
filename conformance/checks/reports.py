"""Health, props, capabilities and version: true, quick, without side effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import AdapterError, CancelMode, Message, Sampling, TaskRequest, WorkerError, Workload
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Script, Stall, Text
from conformance.subject import SEED
from conformance.times import STEP_S

from .bounds import HANGING
from .renewals import BESIDE, LIVES, REPLICAS, RESTARTS, SILENT
from .scripts import quick

if TYPE_CHECKING:
    from adapter_api import CancelSupport
    from conformance.bench import Bench
    from conformance.lab import Lab

_LOADING_S = 8.0
_SETTLE_S = 30.0  # longer than any cache or back-off of a report may last


async def health_follows_the_engine(lab: Lab) -> None:
    """Ask while the engine loads, when it is ready, when it is dead, and when it is back."""
    async with lab.open(Script.of(*quick("Hello").steps, loading_s=_LOADING_S)) as bench:
        await lab.until(1.0)
        await _expect_health(lab, bench, "while it loads", is_ready=False)
        await lab.until(_LOADING_S + _SETTLE_S)
        await _expect_health(lab, bench, "when it has loaded", is_ready=True)
        bench.rig.stop()
        await trio.sleep(STEP_S)
        await _expect_health(lab, bench, "when it is dead", is_ready=False, is_live=False)
        bench.rig.start()
        await trio.sleep(_LOADING_S + _SETTLE_S)
        await _expect_health(lab, bench, "when it is back", is_ready=True)
        reading = await bench.read()
        lab.expect("HPC-01", reading.text == "Hello", "a ready engine to serve", f"{reading.text!r}")


async def _expect_health(lab: Lab, bench: Bench, when: str, *, is_ready: bool, is_live: bool | None = None) -> None:
    health = await bench.health()
    told = lab.transcript.entries[-1]
    lab.expect("HPC-01", health.ready is is_ready, f"ready={is_ready} {when}", f"{health!r}", told)
    if is_live is not None:
        lab.expect("HPC-01", health.live is is_live, f"live={is_live} {when}", f"{health!r}", told)
    lab.expect("HPC-01", health.live or not health.ready, "no ready engine that is not live", f"{health!r}", told)


async def a_dead_engine_is_no_surprise(lab: Lab) -> None:
    """Ask for everything while the engine is dead: reports or `WorkerError`, in time."""
    async with lab.open(quick("Hello")) as bench:
        bench.rig.stop()
        await trio.sleep(STEP_S)
        await bench.health()
        for ask in (bench.props, bench.capabilities, bench.engine_version):
            try:
                await ask()
            except WorkerError:
                continue
        reading = await bench.read()
        lab.expect("HPC-02", reading.error is not None, "a submit to fail", f"it gave {reading.frames}")


async def asking_changes_nothing(lab: Lab) -> None:
    """Ask ten times for everything, also at the same time, and compare; then see whether the engine has moved on."""
    async with lab.open(quick("first answer"), quick("second answer")) as bench:
        for name, ask in (("health()", bench.health), ("props()", bench.props), ("capabilities()", bench.capabilities)):
            answers = {repr(await ask()) for _ in range(10)}
            lab.expect("HPC-03", len(answers) == 1, f"the same answer from {name} each time", f"{answers}")
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(bench.health)
                nursery.start_soon(bench.props)
        reading = await bench.read()
        is_first = reading.text == "first answer"
        lab.expect("HPC-03", is_first, "the next request to be the engine's first", f"it gave {reading.text!r}")


async def props_are_true(lab: Lab) -> None:
    """Ask for props with no, one and two requests under way on an engine with four slots."""
    async with lab.open(Script.of(Accept(), Text("One"), Stall()), slots=4) as bench:
        free = []
        for number in range(3):
            props = await bench.props()
            total = props.slots_total
            lab.expect("HPC-04", total in {None, 4}, "slots_total=4, or None", f"slots_total={total}")
            ratio = props.kv_cache_usage_ratio
            lab.expect("HPC-04", ratio is None or 0 <= ratio <= 1, "a ratio from 0 to 1", f"{ratio}")
            free.append(props.slots_free)
            bench.start()
            await lab.until((number + 1) * STEP_S)
        is_right = free in ([4, 3, 2], [None] * 3)
        lab.expect("HPC-04", is_right, "slots_free to count down from 4, or None throughout", f"{free}")
        bench.stop_reading()


async def claims_are_kept(lab: Lab, workload: Workload) -> None:
    """Ask for a kind of answer; it is served if it was claimed, and refused with an error if not."""
    async with lab.open(Script()) as bench:
        claimed = (await bench.capabilities()).workloads
        reading = await bench.read(_request(bench, workload))
        actual = f"it gave {reading.last.what if reading.last else 'nothing'}"
        if workload in claimed:
            lab.require("HPC-05", reading.end is not None, f"{workload} to be served, as claimed", actual)
            result = reading.end.result if reading.end else None
            is_whole = workload is Workload.COMPLETION or (isinstance(result, list | tuple) and len(result) == 2)
            lab.expect("HPC-05", is_whole, "one result for each input", f"{result!r}")
        else:
            is_refused = isinstance(reading.error, AdapterError) and not reading.error.retriable
            lab.expect("HPC-05", is_refused, f"AdapterError for {workload}, which is not claimed", actual)


async def features_are_kept(lab: Lab) -> None:
    """Ask for each feature that is claimed; none may be refused."""
    async with lab.open(quick("Hello")) as bench:
        claimed = (await bench.capabilities()).features
        for feature, fields in _FEATURES.items():
            if feature in claimed:
                reading = await bench.read(bench.request(**fields))
                is_served = reading.end is not None
                lab.expect("HPC-05", is_served, f"`{feature}` to be taken, as claimed", f"it gave {reading.error!r}")


_FEATURES: dict[str, dict[str, object]] = {
    "seed": {"seed": 41},
    "stop": {"sampling": Sampling(stop=("END",))},
    "chat": {"prompt": "", "messages": (Message("user", "Count to three."),)},
}


def _request(bench: Bench, workload: Workload) -> TaskRequest:
    match workload:
        case Workload.COMPLETION:
            return bench.request()
        case Workload.EMBEDDING:
            return bench.request(workload=workload, prompt="", inputs=("one text", "another text"))
        case Workload.RERANK:
            return bench.request(workload=workload, prompt="a query", inputs=("a document", "a query in a document"))


async def versions_agree(lab: Lab) -> None:
    """Compare the version in every place that tells it with the engine's own."""
    async with lab.open(quick("Hello")) as bench:
        wanted = bench.rig.engine_version
        started = (await bench.read()).frames[:1]
        told = {
            "engine_version()": await bench.engine_version(),
            "capabilities()": (await bench.capabilities()).engine_version,
            "`started`": started[0].data.get("engine_version", wanted) if started else None,
        }
        for place, version in told.items():
            lab.expect("HPC-06", version == wanted, f"the engine's version {wanted!r} in {place}", f"{version!r}")
        engine = (await bench.capabilities()).engine
        lab.expect("HPC-06", engine == lab.subject.engine, f"engine={lab.subject.engine!r}", f"{engine!r}")


async def signals_travel(lab: Lab) -> None:
    """Give a seed and a sampler profile; both have to come back with the stream."""
    lab.need(SEED)
    async with lab.open(quick("Hello")) as bench:
        reading = await bench.read(bench.request(seed=41, sampler_profile_version="profile-7"))
        told = {name: value for frame in reading.frames for name, value in frame.data.items()}
        for name, wanted in (("seed", 41), ("sampler_profile_version", "profile-7")):
            is_there = told.get(name) == wanted
            lab.expect("DET-01", is_there, f"{name}={wanted!r} in `started` or `end`", f"{name}={told.get(name)!r}")


async def cancel_mode_is_a_fact(lab: Lab) -> None:
    """Compare the claimed cancel mode before and after a request."""
    async with lab.open(quick("Hello")) as bench:
        before = bench.rig.adapter.cancel_support
        await bench.read()
        _expect_mode(lab, bench, before)
        is_known = before.mode in CancelMode
        lab.expect("HPC-07", is_known, "a cancel mode of the contract", f"{before!r}")


async def cancel_mode_outlives_the_engine(lab: Lab) -> None:
    """Compare the claimed cancel mode while the engine is dead, and when it is back."""
    async with lab.open(quick("Hello")) as bench:
        before = bench.rig.adapter.cancel_support
        for change in (bench.rig.stop, bench.rig.start):
            change()
            await trio.sleep(STEP_S)
            await bench.health()
            _expect_mode(lab, bench, before)


def _expect_mode(lab: Lab, bench: Bench, before: CancelSupport) -> None:
    after = bench.rig.adapter.cancel_support
    lab.expect("HPC-07", before == after, "one cancel mode for the life of the adapter", f"{before}, then {after}")


def _report(
    check_id: str, title: str, scenes: tuple[Scene, ...], *requirements: str, causes: tuple[str, ...] = ()
) -> Check:
    return Check(id=check_id, title=title, group=Group.REPORTS, requirements=requirements, scenes=scenes, causes=causes)


_HEALTH = Scene(name="health", how="Health while loading, ready, dead and back.", cases=one(health_follows_the_engine))
_DEAD = Scene(name="dead-engine", how="Every report asked of a dead engine.", cases=one(a_dead_engine_is_no_surprise))
_SIGNALS = Scene(
    name="signals", how="A seed and a profile given, and looked for.", cases=one(signals_travel, scripted=False)
)
_TEN_TIMES = Scene(
    name="ten-times", how="Each report ten times, in a row and at once.", cases=one(asking_changes_nothing)
)
_WORKLOADS = {workload.value: workload for workload in Workload}

CHECKS = (
    _report(
        "HPC-01",
        "health follows the engine and never raises",
        (_HEALTH, _DEAD, LIVES),
        "ADAPT-3000a",
        "ADAPT-3000b",
        causes=("a connection error leaves health()", "a cached answer"),
    ),
    _report(
        "HPC-02",
        "reports are given, and in time",
        (_DEAD, SILENT, HANGING, _TEN_TIMES),
        "ADAPT-3000",
        "ADAPT-3000b",
        causes=("a route of the engine that has another name", "a report without a bound of its own"),
    ),
    _report(
        "HPC-03",
        "asking changes nothing",
        (_TEN_TIMES, BESIDE),
        "ADAPT-3000c",
        causes=(
            "a report makes a request of its own, or resets a counter",
            "the connection of a stream is used for the question",
        ),
    ),
    _report(
        "HPC-04",
        "props are the engine's",
        (
            Scene(name="props", how="Props with 0, 1 and 2 requests under way on 4 slots.", cases=one(props_are_true)),
            REPLICAS,
        ),
        "ADAPT-3000d",
        causes=(
            "free slots are guessed from the adapter's own requests",
            "what is not known is told as 0",
        ),
    ),
    _report(
        "HPC-05",
        "what is claimed is served, what is not is refused",
        (
            Scene(
                name="claims",
                how="Each kind of answer, claimed or not; each feature that is claimed.",
                cases=joined(each(claims_are_kept, _WORKLOADS, scripted=False), one(features_are_kept, "features")),
            ),
        ),
        "ADAPT-3012a",
        causes=(
            "features are a fixed list and not those of the engine",
            "a workload that is not claimed is sent all the same",
        ),
    ),
    _report(
        "HPC-06",
        "the version is the engine's, wherever it is told",
        (Scene(name="versions", how="The version in all places.", cases=one(versions_agree, scripted=False)), RESTARTS),
        "ADAPT-3003",
        "ADAPT-3012b",
        causes=("a version that is asked for once", "memory that is renewed by one kind of failure only"),
    ),
    Check(
        id="DET-01",
        title="seed and sampler profile come back with the stream",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003",),
        scenes=(_SIGNALS,),
        causes=(
            "the seed that was drawn is not told",
            "what the request asked for is told instead of what the engine was sent",
        ),
    ),
    _report(
        "HPC-07",
        "the cancel mode does not change",
        (
            Scene(
                name="cancel-mode",
                how="The cancel mode before and after a request, and while the engine is dead.",
                cases=joined(
                    one(cancel_mode_is_a_fact, scripted=False), one(cancel_mode_outlives_the_engine, "while-dead")
                ),
            ),
        ),
        "ADAPT-3000",
        causes=(
            "the mode is worked out from the engine's health",
            "a fallback changes the mode for good",
        ),
    ),
)
