"""Whose fault it is when a case ends in an exception: the adapter's, its subject's, or the kit's own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

import specs
from adapter_api import AdapterError
from conformance.api import run_suite
from conformance.check import Scene, one
from conformance.outcome import Exit, Outcome
from conformance.runner import play_case
from conformance.subjects.mock import MockSubject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from adapter_api import TaskRequest, TokenEvent, WorkerAdapter, WorkerProps
    from conformance.lab import Lab
    from conformance.outcome import SuiteReport
    from conformance.subject import Fault, Rig, Situation
    from specs import Specification

MOCK = MockSubject()
HERE = "tests/conformance/test_attribution.py:"


class Inner:
    """The mock adapter, with some of its methods in the hands of a subclass."""

    def __init__(self, inner: WorkerAdapter) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


class ForgetsItsProps(Inner):
    async def props(self) -> WorkerProps:
        raise AdapterError("about: HTTP 404: no such route")


class ForgetsItsCapabilities(Inner):
    async def capabilities(self) -> None:
        return None


class RefusesEverything(Inner):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncGenerator[TokenEvent]]:
        raise AdapterError("no")
        yield


class YieldsNoStream(Inner):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[None]:
        yield


class YieldsNoEvents(Inner):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncGenerator[None]]:
        yield self._nothing()

    async def _nothing(self) -> AsyncGenerator[None]:  # noqa: ASYNC900 - as an author may write it
        yield None


class BreaksOnTheFirstToken(Inner):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncGenerator[TokenEvent]]:
        async with self._inner.submit(request) as events:
            yield self._read(events)

    async def _read(self, events: AsyncIterator[TokenEvent]) -> AsyncGenerator[TokenEvent]:  # noqa: ASYNC900 - as an author may write it
        async for event in events:
            if event.kind == "token":
                raise LookupError("no such token")
            yield event


class HasAScopeAcrossAYield(Inner):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncGenerator[TokenEvent]]:
        async with self._inner.submit(request) as events:
            yield self._read(events)

    async def _read(self, events: AsyncIterator[TokenEvent]) -> AsyncGenerator[TokenEvent]:  # noqa: ASYNC900 - as an author may write it
        with trio.CancelScope():
            async for event in events:
                yield event  # noqa: ASYNC101, ASYNC119 - the mistake that is told


class Subjects:
    """A subject around the mock; `task` is something that goes wrong beside it."""

    name, engine = "spoilt", "mock"
    limits: Mapping[str, str] = MOCK.limits

    def __init__(self, adapter: type[Inner] | None = None, *, crashes: bool = False) -> None:
        self._adapter = adapter
        self._crashes = crashes

    def faults(self, spec: Specification) -> Sequence[Fault]:
        return MOCK.faults(spec)

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        async with MOCK.open(situation) as rig:
            if self._crashes:
                situation.engine_tasks.start_soon(self._crash)
            yield rig if self._adapter is None else replace(rig, adapter=self._adapter(rig.adapter))  # type: ignore[arg-type]

    async def _crash(self) -> None:
        await trio.sleep(0.1)
        raise KeyError("no such step")


def _actual(report: SuiteReport, check_id: str) -> str:
    (check,) = (each for each in report.checks if each.check.id == check_id)
    assert check.outcome is Outcome.FAIL
    return check.broken_by[0].about(check_id)[0].actual


@pytest.mark.req("GATE-1001f")
@pytest.mark.parametrize(
    ("subject", "only", "found_by", "words"),
    [
        (
            Subjects(ForgetsItsProps),
            "HPC-04",
            "HPC-02",
            "a report raised AdapterError('about: HTTP 404",
        ),
        (Subjects(RefusesEverything), "FRM-11", "FRM-07", "the stream failed: AdapterError('no'"),
        (Subjects(YieldsNoStream), "FRM-11", "FRM-15", "an object with __aiter__ method, got NoneType"),
        (Subjects(YieldsNoEvents), "FRM-11", "FRM-15", "'NoneType' object has no attribute 'kind'"),
        (Subjects(ForgetsItsCapabilities), "HPC-05", "HPC-02", "it returned None"),
        (Subjects(HasAScopeAcrossAYield), "CAN-09", "ERR-05", "no `with` block of either may have a `yield` in it"),
        (Subjects(BreaksOnTheFirstToken), "FRM-10,FRM-07", "ERR-05", f"escaped, raised at {HERE}"),
        (Subjects(crashes=True), "FRM-03", "ERR-05", f"KeyError('no such step') escaped, raised at {HERE}"),
    ],
)
def test_what_the_adapter_or_its_subject_did_is_no_fault_of_the_kit(
    subject: Subjects, only: str, found_by: str, words: str
) -> None:
    report = run_suite(subject, only=only.split(","), twice=False)
    assert report.exit_code is Exit.NOT_CONFORMING, report.kit_errors
    assert words in _actual(report, found_by)


def test_a_fault_of_the_kit_is_still_its_own() -> None:
    async def play(lab: Lab) -> None:
        async with lab.open():
            raise ValueError("a slip of the kit")

    scene = Scene(name="slip", how="", cases=one(play))
    case = next(iter(scene.cases(MOCK, specs.load())))
    report = play_case(Subjects(), scene, case, specs.load(), 0)
    assert not report.findings
    assert "a slip of the kit" in (report.kit_error or "")


def test_a_check_that_stumbles_over_what_it_has_found_is_no_fault_of_the_kit() -> None:
    async def play(lab: Lab) -> None:
        await trio.lowlevel.checkpoint()
        lab.expect("FRM-10", condition=False, expected="an event", actual="none came")
        raise IndexError("the first of none")

    scene = Scene(name="stumbles", how="", cases=one(play))
    report = play_case(Subjects(), scene, next(iter(scene.cases(MOCK, specs.load()))), specs.load(), 0)
    assert [finding.check_id for finding in report.findings] == ["FRM-10"]
    assert report.kit_error is None
