"""Play scenes and tell how each check came out.

Every case gets a `trio.run` of its own on a mock clock, a schedule that its seed decides, and a bound in virtual and in
real time. Nothing is carried over from case to case, so a case that is played twice has to be the same twice. Printing
is `report.py`'s.
"""

from __future__ import annotations

import gc
import traceback
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import trio
from trio.testing import MockClock

from .attribution import finding_of
from .belongings import belongings, left_behind
from .canary import SECRETS, TEXTS
from .capture import capture
from .comparing import compared
from .escape.watch import Escaped, Watch, watching
from .findings import Finding, NotApplicable, NotTestable, Stop
from .judging import judged
from .lab import Lab
from .outcome import CaseReport, Excuse, Outcome, SuiteReport
from .portable import portable
from .schedule import seeded
from .selection import plays_of
from .subject import SCRIPTS
from .times import CASE_BOUND_S
from .transcript import Transcript
from .watchdog import Blocked, run_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from specs import Specification

    from .capture import Captured
    from .check import Case, Check, Scene
    from .selection import Selection
    from .subject import Subject

    Heard = Callable[[Scene, int, int], None]
    Seen = Callable[[CaseReport], None]

CASE_WALL_S = 20.0
"""Real time after which a case counts as blocked; an ordinary one takes a few milliseconds."""

REAL_CASE_WALL_S = 180.0
"""The same for a case that is played in real time, on an engine that takes its own."""

HANGS = "LIF-10"
"""The check that owns cases which do not end."""

LEFT = "LEA-06"
"""The check that owns what is left with the operating system."""


def _nothing(_report: CaseReport) -> None:
    """Let a play pass unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How cases are played.

    `stop_at` are the checks whose first failure ends a scene. With `is_twice` each case is played again and has to be
    the same; with `is_real` time is real, and so is the engine. Each case is played under `schedules` at least, and
    `seen` is told of each play with all that happened in it.
    """

    stop_at: frozenset[str] = frozenset()
    is_twice: bool = False
    is_real: bool = False
    schedules: int = 1
    seen: Seen = _nothing


def run_checks(
    subject: Subject,
    selection: Selection,
    spec: Specification,
    *,
    every: Sequence[Check] = (),
    seed: int = 0,
    stop_early: bool = False,
    twice: bool = False,
    heard: Heard = lambda _scene, _done, _total: None,
    seen: Seen = _nothing,
) -> SuiteReport:
    """Play the selected scenes and judge the selected checks.

    `every` are all checks there are: one of them may break under a scene of another. `stop_early` leaves a scene when a
    selected check has failed; `twice` plays each case again and compares; `heard` is told of progress as (scene, cases
    played, cases in all), `seen` of each case. A subject whose engine plays no scripts is played in real time, once.
    """
    played: list[CaseReport] = []
    is_real = SCRIPTS in subject.limits
    stop_at = frozenset(check.id for check in selection.checks) if stop_early else frozenset[str]()
    manner = Manner(
        stop_at=stop_at,
        is_twice=twice and not is_real,
        is_real=is_real,
        schedules=selection.schedules,
        seen=seen,
    )
    with _quick_collections():
        for scene in selection.plays:
            cases = selection.cases(scene, subject, spec)
            played.extend(_play_scene(subject, scene, cases, spec, seed, manner, heard))
    reports = judged(every or selection.checks, selection, subject, played)
    return SuiteReport(
        subject=subject.name,
        seed=seed,
        checks=[each for each in reports if each.check in selection.checks or each.broken_by],
        cases=sum(each.excuse is None for each in played),
        kit_errors=[each for each in played if each.kit_error is not None],
    )


def _play_scene(
    subject: Subject,
    scene: Scene,
    cases: Sequence[Case],
    spec: Specification,
    seed: int,
    manner: Manner,
    heard: Heard,
) -> Iterator[CaseReport]:
    yield from (_excused(subject, scene, case, seed) for case in cases if not plays_of(case, subject))
    turns = [(case, seed + extra) for case in cases for extra in range(plays_of(case, subject, manner.schedules))]
    for number, (case, case_seed) in enumerate(turns):
        heard(scene, number, len(turns))
        report = play_case(subject, scene, case, spec, case_seed, manner)
        yield report
        if any(finding.check_id in manner.stop_at for finding in report.findings):
            break
    heard(scene, len(turns), len(turns))


def _excused(subject: Subject, scene: Scene, case: Case, seed: int) -> CaseReport:
    excuse = Excuse(Outcome.NOT_APPLICABLE, subject.limits[SCRIPTS])
    return CaseReport(
        scene=scene.name, case=case.name, seed=seed, findings=(), given=(), transcript=Transcript(), excuse=excuse
    )


def play_case(
    subject: Subject, scene: Scene, case: Case, spec: Specification, seed: int, manner: Manner | None = None
) -> CaseReport:
    """Play one case, and with `manner.is_twice` once more to compare."""
    manner = manner or Manner()
    report = _play_once(subject, scene, case, spec, seed, manner)
    if manner.is_twice and report.kit_error is None:
        report = compared(report, _play_once(subject, scene, case, spec, seed, manner))
    manner.seen(report)
    return report if report.findings else replace(report, transcript=Transcript())  # what went well need not be kept


def _play_once(
    subject: Subject, scene: Scene, case: Case, spec: Specification, seed: int, manner: Manner
) -> CaseReport:
    excuse, kit_error = None, None
    clock = None if manner.is_real else MockClock(autojump_threshold=0)  # made here, it keeps a clock nobody watches
    with capture() as caught, seeded(seed), _watched(manner) as watch:
        lab = Lab(subject, spec, seed, watch)
        try:
            limit_s = REAL_CASE_WALL_S if manner.is_real else CASE_WALL_S
            run_bounded(partial(_run, lab, case, clock), limit_s)
        except Blocked as blocked:
            lab.find(Finding(HANGS, "the case to end", _blocked(blocked)))
        except Escaped:
            pass  # its finding is among those of the watch
        except Exception as error:  # noqa: BLE001 - sorted into what the case says and what is our own fault
            excuse, kit_error = (None, None) if watch.is_stopped else _sort_out(lab, case, error)
        gc.collect()
    lab.find_all(watch.findings)
    if lab.findings:
        kit_error = None  # a check that stumbles over what it has just found: the findings tell
    _search(lab, caught)
    return CaseReport(
        scene=scene.name,
        case=case.name,
        seed=seed,
        findings=tuple(dict.fromkeys(lab.findings)),
        given=lab.given,
        transcript=lab.transcript,
        excuse=excuse,
        kit_error=kit_error,
    )


def _watched(manner: Manner) -> AbstractContextManager[Watch]:
    """Return a watch over steps outside; in real time there is no outside, and it sees nothing."""
    return nullcontext(Watch()) if manner.is_real else watching()


def _run(lab: Lab, case: Case, clock: MockClock | None) -> None:
    """Play the case in this thread, and count what it has left with the operating system."""
    lab.watch.begin()
    is_virtual = clock is not None  # threads and processes are stopped before they start, then
    before = belongings(only_files=is_virtual)
    try:
        trio.run(_play, lab, case, clock=clock)
    except BaseExceptionGroup as group:
        if group.split(Escaped)[0] is None:
            raise
        raise Escaped from None
    finally:
        left = left_behind(before, belongings(only_files=is_virtual))
        lab.expect(LEFT, not left, "the same open files, threads and child processes as before", f"more now: {left}")


def _blocked(blocked: Blocked) -> str:
    line = f"at {blocked.line}\n" if blocked.line else ""
    return f"{blocked}, {line}on the way:\n{blocked.stack}"


async def _play(lab: Lab, case: Case) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_when_hanging, lab, trio.lowlevel.current_task(), nursery.cancel_scope)
        await case.play(lab)
        nursery.cancel_scope.cancel()


async def _stop_when_hanging(lab: Lab, main: trio.lowlevel.Task, scope: trio.CancelScope) -> None:
    """End a case that has nothing left to wait for but this."""
    await trio.sleep(CASE_BOUND_S)
    places = [f"{task.name}: {_where(task)}" for task in (main, *lab.readers) if task.coro.cr_frame is not None]
    lab.find(Finding(HANGS, f"the case to end within {CASE_BOUND_S:g} virtual seconds", f"it waits; {places}"))
    scope.cancel()


def _where(task: trio.lowlevel.Task) -> str:
    frames = [frame for frame, _ in task.iter_await_frames() if "/trio/" not in frame.f_code.co_filename]
    return " > ".join(f"{frame.f_code.co_name}:{frame.f_lineno}" for frame in frames[-3:])


def _sort_out(lab: Lab, case: Case, error: Exception) -> tuple[Excuse | None, str | None]:
    """Tell the ways a case may end from a fault of the kit: (excuse, traceback); what is the adapter's is a finding."""
    excuse = None
    for leaf in _leaves(error):
        match leaf:
            case Stop():
                pass
            case NotApplicable():
                excuse = Excuse(Outcome.NOT_APPLICABLE, str(leaf))
            case NotTestable():
                excuse = Excuse(Outcome.NOT_TESTABLE, str(leaf))
            case _ if (found := finding_of(leaf, case.play)) is not None:
                lab.find(found)
            case _:
                return None, "".join(traceback.format_exception(error))
    return excuse, None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _search(lab: Lab, caught: Captured) -> None:
    """Look for canaries in everything that was said, and for errors that nobody saw."""
    for sink, text in (*lab.sinks, *caught.sinks()):
        _search_text(lab, "RED-01", SECRETS, sink, text)
        _search_text(lab, "RED-08", TEXTS, sink, text)
    for text in lab.chains:
        _search_text(lab, "RED-07", SECRETS, "traceback with all causes", text)
    for sink, text in lab.told:
        if lab.address is not None and lab.address in text:
            lab.find(
                Finding("RED-09", "the engine's address to stay inside", f"{lab.address} in a {sink}: {text[:300]}")
            )
    for trouble in caught.trouble:
        lab.find(Finding("LEA-04", "no warning and no error that nobody sees", trouble))


def _search_text(lab: Lab, check_id: str, places: Sequence[str], sink: str, text: str) -> None:
    sighting = lab.canaries.find(text, sink, places)
    if sighting is not None:
        shown = portable(lab.canaries.mask(text))  # before it is cut: the length of a path is this machine's
        at = max(0, shown.find("[canary:") - 150)
        where = f"the {sighting.place} canary, {sighting.form}, in a {sink}: {shown[at : at + 300]}"
        lab.find(Finding(check_id, "no canary anywhere", where))


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Set aside what is alive now, so that looking for forgotten objects after each case takes no time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
