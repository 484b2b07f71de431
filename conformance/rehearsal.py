"""A first look at a subject, before anything is judged: whether it can be played to at all.

It is opened once, in virtual time, with the plainest of engines. What is wrong with the subject itself (it does not
open, it gives something else than a `Rig`, its adapter lacks a method) is said in one sentence; found in the middle of
a case, it would look like a fault of the kit or like a hundred failures.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, cast, final

import trio
from trio.testing import MockClock

import specs
from adapter_api import TaskId, TaskRequest

from .attribution import place_of
from .canary import Canaries
from .capture import capture
from .engines.script import Accept, Finish, Script, Text
from .subject import SCRIPTS, Fault, Rig, Situation
from .watchdog import Blocked, run_bounded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from .subject import Subject

OPEN_BOUND_S = 60.0
"""Virtual time in which a subject has to open, and to close, with an engine that is there."""
WALL_S = 10.0
"""Real time after which opening counts as blocked."""
_PLAIN = Script.of(Accept(), Text("Hello"), Finish())
_CALLS = ("health", "props", "capabilities", "engine_version", "submit", "cancel")
_COUNTS = ("live", "connections", "submitted")
_OPENS = "; put @asynccontextmanager above a function that yields the Rig"
_SUBMITS = "; put @asynccontextmanager above a function that yields the stream"


@final
class CannotPlay(ValueError):
    """The subject cannot be played to; the text says why, for its author."""


def rehearse(subject: Subject, *, wall_s: float = WALL_S) -> None:
    """Open the subject once; raise `CannotPlay`. One whose engine plays no scripts is left alone.

    `wall_s` bounds it in real time, for one that blocks.
    """
    if SCRIPTS in subject.limits:
        return
    _look_at_faults(subject)
    with capture():
        wrong = _opened(subject, wall_s)
    if wrong is not None:
        raise CannotPlay(f"{subject.name} cannot be played to: {wrong}")


def _look_at_faults(subject: Subject) -> None:
    try:
        faults = cast("object", subject.faults(specs.load()))
    except Exception as error:
        raise CannotPlay(f"{subject.name} cannot be played to: faults() {_raised(error)}") from error
    if not isinstance(faults, Sequence) or not all(isinstance(each, Fault) for each in faults):
        raise CannotPlay(
            f"{subject.name} cannot be played to: faults() returned {_shortly(faults)} and not a sequence of "
            "conformance.subject.Fault; an HTTP engine has wire_faults(spec, engine) for it, () means none"
        )


def _opened(subject: Subject, wall_s: float) -> str | None:
    try:
        return run_bounded(partial(trio.run, _look_inside, subject, clock=MockClock(autojump_threshold=0)), wall_s)
    except Blocked as blocked:
        return f"open() blocks: {blocked}, at:\n{blocked.stack}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"open() {_raised(_first_leaf(error))}"


async def _look_inside(subject: Subject) -> str | None:
    places = list[str]()
    async with trio.open_nursery() as engine_tasks:
        with trio.move_on_after(OPEN_BOUND_S) as bound:
            wrong = await _noting_where(partial(_tried, subject, _situation(engine_tasks)), places)
        engine_tasks.cancel_scope.cancel()
    if not bound.cancelled_caught:
        return wrong
    return " at ".join([f"open() had not come to its end after {OPEN_BOUND_S:g} virtual seconds, it waits", *places])


async def _noting_where(work: Callable[[], Awaitable[str | None]], places: list[str]) -> str | None:
    """Do the work; where it is cancelled, `places` gets the line in which it waited."""
    try:
        return await work()
    except trio.Cancelled as cancelled:
        place = place_of(cancelled)
        places += [place] if place else []
        raise


async def _tried(subject: Subject, situation: Situation) -> str | None:
    opening = cast("object", subject.open(situation))
    if not isinstance(opening, AbstractAsyncContextManager):
        return f"open() returned {_kind(opening)} and not an asynchronous context manager{_OPENS}"
    async with opening as rig:
        return next(_wrong_with(cast("object", rig)), None)


def _situation(engine_tasks: trio.Nursery) -> Situation:
    return Situation(scripts=(_PLAIN,), engine_tasks=engine_tasks, canaries=Canaries(0), random=Random(0).random)


def _wrong_with(rig: object) -> Iterator[str]:
    if not isinstance(rig, Rig):
        yield f"open() gave {_shortly(rig)} and not a conformance.subject.Rig with the adapter in it"
        return
    lacking = [name for name in _CALLS if not callable(getattr(rig.adapter, name, None))]
    lacking += [name for name in ("cancel_support",) if not hasattr(rig.adapter, name)]
    if lacking:
        yield f"the adapter has no {', '.join(lacking)}; see adapter_api.WorkerAdapter"
    for name in _COUNTS:
        count = cast("object", getattr(rig.facts, name, None))
        if not isinstance(count, int):
            yield f"facts.{name} is {_shortly(count)} and not a number; see conformance.subject.EngineFacts"
    if not isinstance(cast("object", rig.engine_version), str):
        yield f"engine_version is {_shortly(rig.engine_version)} and not a text"
    for name in ("stop", "start"):
        if not callable(getattr(rig, name)):
            yield f"{name} cannot be called"
    if not lacking:
        yield from _wrong_with_submit(rig)


def _wrong_with_submit(rig: Rig) -> Iterator[str]:
    entering = cast("object", rig.adapter.submit(TaskRequest(task_id=TaskId("rehearsal"), prompt="Hello.")))
    if not isinstance(entering, AbstractAsyncContextManager):
        yield f"submit() returned {_kind(entering)} and not an asynchronous context manager{_SUBMITS}"


def _kind(thing: object) -> str:
    """Say what a call gave in place of a context manager; a coroutine is closed, so that nothing warns of it."""
    if inspect.iscoroutine(thing):
        thing.close()
        return "a coroutine"
    return "an asynchronous generator" if inspect.isasyncgen(thing) else _shortly(thing)


def _raised(error: BaseException) -> str:
    place = place_of(error)
    return f"raised {type(error).__name__}: {error}{f' ({place})' if place else ''}"


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _shortly(thing: object) -> str:
    text = "a mapping" if isinstance(thing, Mapping) else repr(thing)
    return text if len(text) <= 60 else f"{text[:60]}..."
