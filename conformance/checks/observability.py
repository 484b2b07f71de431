"""What an adapter says in its logs and metrics, and what it lets the engine know of who asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from adapter_api import CorrelationId, SessionId, TaskId
from conformance.check import Check, Group, Level, Scene, each, one
from conformance.engines.script import Accept, Fail, Script, Text
from conformance.listening import listening
from conformance.reading import Plan
from conformance.times import STEP_S

from .scripts import quick, stalls_after, steady

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import TaskRequest
    from conformance.bench import Bench
    from conformance.engines.received import Received
    from conformance.lab import Lab
    from conformance.listening import Record

_FEW, _MANY = 4, 64
_LABELS = ("k7Qx9aWd", "m2Zr8sTb", "p5Vy3cHn")  # found in no ordinary name


async def tokens_leave_no_records(lab: Lab) -> None:
    """Read short and long answers and compare the numbers of records."""
    few, many = quick(*[" word"] * _FEW), quick(*[" word"] * _MANY)
    async with lab.open(few, few, many) as bench:
        await bench.read()  # what is logged once only is logged here
        for_few, for_many = await _records_of(bench), await _records_of(bench)
    actual = f"{len(for_many)} records; the last: {for_many[-1] if for_many else None}"
    expected = f"{len(for_few)} records for {_MANY} tokens, as for {_FEW}"
    lab.expect("OBS-03", len(for_many) <= len(for_few), expected, actual)


async def _records_of(bench: Bench) -> Sequence[Record]:
    with listening() as records:
        await bench.read()
    return records


async def names_of_metrics_are_fixed(lab: Lab) -> None:
    """Send requests with ids and prompts of their own and look for those in the names of metrics."""
    async with lab.open(quick("Hello", " there")) as bench:
        for label in _LABELS:
            reading = await bench.read(_labelled(bench, label))
            names = [name for frame in reading.frames if frame.kind == "metrics" for name in frame.data]
            found = sorted({name for name in names if label in name})
            lab.expect("OBS-03", not found, "names of metrics that hold no id and no text of a request", f"{found}")


def _labelled(bench: Bench, label: str) -> TaskRequest:
    return bench.request(
        task_id=TaskId(f"task-{label}"),
        session_id=SessionId(f"session-{label}"),
        correlation_id=CorrelationId(f"correlation-{label}"),
        prompt=f"{label} is a word.",
    )


async def the_correlation_id_travels(lab: Lab) -> None:
    """Send two requests at once, each with an id, and look for it at the engine."""
    async with lab.open(steady()) as bench:
        requests = [bench.request(correlation_id=CorrelationId(f"call-{label}"), prompt=label) for label in _LABELS[:2]]
        readings = [bench.start(request) for request in requests]
        for reading in readings:
            await reading.over.wait()
        for request in requests:
            own = [one_ for one_ in bench.received if request.prompt in one_.texts]
            wanted = str(request.correlation_id)
            is_there = len(own) == 1 and _has(own[0], wanted)
            actual = f"headers of {len(own)} request(s): {[sorted(one_.headers) for one_ in own]}"
            lab.expect("OBS-05", is_there, f"{wanted} with its request at the engine", actual)


def _has(received: Received, wanted: str) -> bool:
    return wanted.encode() in received.body or any(wanted in value for value in received.headers.values())


async def a_stop_is_no_trouble(lab: Lab, how: str) -> None:
    """Cancel, leave, or lose the consumer, before the first token and between two."""
    for frames in (0, 2):
        async with lab.open(stalls_after(frames)) as bench:
            with listening() as records:
                await _stop(lab, bench, how, frames)
                await lab.settle()
            loud = [record for record in records if record.level > logging.INFO]
            lab.expect("OBS-06", not loud, "nothing above INFO", f"{how}: {[str(record) for record in loud[:3]]}")


async def _stop(lab: Lab, bench: Bench, how: str, frames: int) -> None:
    plan = Plan(leave_after=frames) if how == "is-left" and frames else None
    reading = bench.start(plan=plan)
    await trio.sleep((frames + 1) * STEP_S)
    if how == "is-canceled":
        await bench.cancel(reading.request.task_id)
    elif how == "is-lost" or not frames:
        reading.abandon()
    await reading.over.wait()


async def a_failure_is_told_once(lab: Lab, script: Script) -> None:
    """Let the engine fail; the error is raised, and not logged as one besides."""
    async with lab.open(script) as bench:
        with listening() as records:
            reading = await bench.read()
        loud = [record for record in records if record.level > logging.INFO]
        actual = f"{reading.error!r} and {[str(record) for record in loud[:3]]}"
        lab.expect("OBS-06", not loud, "the error, and nothing above INFO in the log", actual)


_FAILURES = {
    "at-first": Script.of(Fail(500, "server_error", "broken")),
    "late": Script.of(Accept(), Text("One"), Fail(500, "server_error", "broken", in_stream=True)),
}
_TOKENS = Scene(name="records-of-tokens", how="Answers of 4 and of 64 tokens.", cases=one(tokens_leave_no_records))
_NAMES = Scene(
    name="names-of-metrics",
    how="Three requests with ids, sessions and prompts that would be seen in a name.",
    cases=one(names_of_metrics_are_fixed),
)
_STOPS = Scene(
    name="records-of-stops",
    how="Streams that are canceled, left and lost, before the first token and between two.",
    cases=each(a_stop_is_no_trouble, {how: how for how in ("is-canceled", "is-left", "is-lost")}),
)
_TOLD = Scene(
    name="records-of-failures",
    how="The engine fails, at first and late.",
    cases=each(a_failure_is_told_once, _FAILURES),
)
_CORRELATION = Scene(
    name="correlation-id", how="Two requests at once with ids of their own.", cases=one(the_correlation_id_travels)
)

CHECKS: tuple[Check, ...] = (
    Check(
        id="OBS-03",
        title="no record for a token, no id or text in the name of a metric",
        group=Group.OBSERVABILITY,
        requirements=("ADAPT-3013c", "ADAPT-3013d"),
        scenes=(_TOKENS, _NAMES),
        causes=("a debug line in the loop over frames", "a counter that is named by its task"),
    ),
    Check(
        id="OBS-05",
        title="the correlation id reaches the engine with its request",
        group=Group.OBSERVABILITY,
        level=Level.SHOULD,
        requirements=("ADAPT-3013",),
        scenes=(_CORRELATION,),
        causes=("the header is left out", "one header for all requests of a client"),
    ),
    Check(
        id="OBS-06",
        title="a stop is not logged as trouble, nor a failure twice",
        group=Group.OBSERVABILITY,
        level=Level.SHOULD,
        requirements=("ADAPT-3013a", "ADAPT-3013b"),
        scenes=(_STOPS, _TOLD),
        causes=("a `log.exception` in an `except` that raises again", "cancellation caught with everything else"),
    ),
)
