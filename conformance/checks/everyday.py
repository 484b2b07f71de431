"""Everyday life, and the rules that hold at all times: they are judged here and under every other scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.check import Case, Check, Group, Scene
from conformance.engines.script import Accept, Cut, Fail, Pause, Reset, Script, Text
from conformance.reading import Plan
from conformance.times import STEP_S

from .scripts import quick, steady

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.lab import Lab
    from conformance.subject import Subject
    from specs import Specification


async def _reads(lab: Lab, *scripts: Script, plan: Plan | None = None, times: int = 1) -> None:
    async with lab.open(*scripts) as bench:
        for _ in range(times):
            await bench.read(plan=plan)


async def _completes(lab: Lab) -> None:
    await _reads(lab, steady())


async def _is_made_up(lab: Lab) -> None:
    await _reads(lab, Script())


async def _runs_twice(lab: Lab) -> None:
    await _reads(lab, steady(), quick("at once", " and whole"), times=2)


async def _says_nothing(lab: Lab) -> None:
    await _reads(lab, quick())


async def _fails_first(lab: Lab) -> None:
    await _reads(lab, Script.of(Fail(500, "server_error", "broken")))


async def _fails_late(lab: Lab) -> None:
    await _reads(
        lab, Script.of(Accept(), Text("One"), Pause(STEP_S), Fail(500, "server_error", "broken", in_stream=True))
    )


async def _is_cut(lab: Lab) -> None:
    await _reads(lab, Script.of(Accept(), Text("One"), Pause(STEP_S), Cut(clean=True)))


async def _is_reset(lab: Lab) -> None:
    await _reads(lab, Script.of(Accept(), Text("One"), Pause(STEP_S), Reset()))


async def _is_left(lab: Lab) -> None:
    await _reads(lab, steady(), plan=Plan(leave_after=2))


async def _is_cancelled(lab: Lab) -> None:
    async with lab.open(steady()) as bench:
        reading = bench.start()
        await lab.until(4 * STEP_S + STEP_S / 2)
        await bench.cancel(reading.request.task_id)


async def _is_asked(lab: Lab) -> None:
    async with lab.open(steady()) as bench:
        await bench.health()
        await bench.props()
        await bench.capabilities()
        await bench.engine_version()


_UNSCRIPTED = frozenset({_is_made_up, _runs_twice, _is_left, _is_cancelled, _is_asked})
_PLAYS = (
    _completes,
    _is_made_up,
    _runs_twice,
    _says_nothing,
    _fails_first,
    _fails_late,
    _is_cut,
    _is_reset,
    _is_left,
    _is_cancelled,
    _is_asked,
)


def _cases(_subject: Subject, _spec: Specification) -> Iterator[Case]:
    for play in _PLAYS:
        yield Case(play.__name__.strip("_").replace("_", "-"), play, is_scripted=play not in _UNSCRIPTED)


EVERYDAY = Scene(
    name="everyday",
    how="Requests that complete, fail, are cut, left and canceled, and each report asked for once. The rule is watched "
    "here and in every other scene.",
    cases=_cases,
)


def _always(check_id: str, title: str, group: Group, *requirements: str, causes: tuple[str, ...] = ()) -> Check:
    return Check(id=check_id, title=title, group=group, requirements=requirements, scenes=(EVERYDAY,), causes=causes)


CHECKS = (
    _always(
        "LIF-03",
        "each stream ends with one terminal event",
        Group.LIFE,
        "ADAPT-3010",
        causes=("the end of the engine's body is taken for the end of the stream", "a branch that only returns"),
    ),
    _always(
        "LIF-04",
        "after the terminal event the stream is over",
        Group.LIFE,
        "ADAPT-3010",
        causes=("the adapter goes on waiting for the engine's body to close",),
    ),
    _always(
        "LIF-10",
        "nothing hangs",
        Group.LIFE,
        "ADAPT-3005",
        causes=("a wait without a bound", "blocking I/O or time.sleep in async code"),
    ),
    _always(
        "SCH-01",
        "payloads fit their schema",
        Group.SCHEMA,
        "ADAPT-3001a",
        causes=(
            "a field that is set to None instead of left out",
            "a count or a time as text, as the engine gave it",
        ),
    ),
    _always(
        "SCH-03",
        "no field that the schema does not declare",
        Group.SCHEMA,
        "ADAPT-3001a",
        causes=("the engine's own object passed on",),
    ),
    _always(
        "SCH-04",
        "values have their declared types and numbers are finite",
        Group.SCHEMA,
        "ADAPT-3001a",
        causes=("a float where an integer is declared",),
    ),
    _always(
        "ERR-05",
        "nothing but `WorkerError` and `Cancelled` leaves the adapter",
        Group.ERRORS,
        "ADAPT-3002",
        causes=("an exception of the HTTP library", "a parse error", "an ExceptionGroup from a nursery inside"),
    ),
    _always(
        "LEA-01",
        "no task outlives the call that started it",
        Group.LEAKS,
        "ADAPT-3101f",
        causes=("a task started in a nursery of the adapter that is not cancelled with the stream",),
    ),
    _always(
        "LEA-02",
        "no connection outlives the adapter",
        Group.LEAKS,
        "ADAPT-3101f",
        causes=(
            "the response is closed on the way that ends well only",
            "a pool of connections is left to the garbage collector",
        ),
    ),
    _always(
        "LEA-04",
        "no warning, no error that nobody sees",
        Group.LEAKS,
        "ADAPT-3101f",
        causes=("an async generator left for the garbage collector", "a socket that is not closed"),
    ),
)
