"""A subject that cannot be played to is told in one sentence, before anything is judged."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from conformance.api import check_adapter, run_suite
from conformance.loading import NoSubject
from conformance.rehearsal import CannotPlay, rehearse
from conformance.subject import SCRIPTS
from conformance.subjects import SUBJECTS
from conformance.subjects.mock import MockSubject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from adapter_api import TaskRequest, TokenEvent
    from conformance.subject import Fault, Rig, Situation
    from specs import Specification

MOCK = MockSubject()


class Plain:
    """The mock, to be spoilt in one place."""

    name, engine = "plain", "mock"
    limits: Mapping[str, str] = {}

    def faults(self, spec: Specification) -> Sequence[Fault]:
        return MOCK.faults(spec)

    def open(self, situation: Situation):  # type: ignore[no-untyped-def]  # each spoils it in a way of its own
        return MOCK.open(situation)


class Raises(Plain):
    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        raise RuntimeError("no licence file")
        yield


class Hangs(Plain):
    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        await trio.sleep_forever()
        async with MOCK.open(situation) as rig:
            yield rig


class HangsAtItsEnd(Plain):
    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        async with MOCK.open(situation) as rig:
            yield rig
        await trio.sleep_forever()


class Blocks(Plain):
    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        time.sleep(1)  # noqa: ASYNC251 - the mistake that is told
        async with MOCK.open(situation) as rig:
            yield rig


class IsACoroutine(Plain):
    async def open(self, situation: Situation) -> None:
        return None


class IsAGenerator(Plain):
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:  # noqa: ASYNC900 - the mistake that is told
        raise NotImplementedError
        yield


class GivesTheAdapter(Plain):
    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[object]:
        async with MOCK.open(situation) as rig:
            yield rig.adapter


class Changed(Plain):
    """Gives a rig in which some fields are others."""

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        async with MOCK.open(situation) as rig:
            yield replace(rig, **self._fields)  # type: ignore[arg-type]  # they are wrong on purpose


class NoCancel:
    """An adapter that lacks most of it."""

    async def health(self) -> None: ...


class AsksAsAGenerator:
    """An adapter whose submit is an asynchronous generator."""

    cancel_support = None

    async def health(self) -> None: ...
    async def props(self) -> None: ...
    async def capabilities(self) -> None: ...
    async def engine_version(self) -> None: ...
    async def cancel(self, task_id: str) -> None: ...

    async def submit(self, request: TaskRequest) -> AsyncIterator[TokenEvent]:  # noqa: ASYNC900 - the mistake that is told
        raise NotImplementedError
        yield


class FaultsRaise(Plain):
    def faults(self, spec: Specification) -> Sequence[Fault]:
        raise KeyError("no such row")


class FaultsAreNone(Plain):
    def faults(self, spec: Specification) -> None:  # type: ignore[override]
        return None


@pytest.mark.req("GATE-1001g")
@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (Raises(), "open() raised RuntimeError: no licence file (tests/conformance/test_rehearsal.py:"),
        (Hangs(), "open() had not come to its end after 60 virtual seconds, it waits at tests/conformance/test_rehe"),
        (HangsAtItsEnd(), "open() had not come to its end after 60 virtual seconds"),
        (Blocks(), "open() blocks: still running after 0.5 s"),
        (IsACoroutine(), "open() returned a coroutine and not an asynchronous context manager; put @asynccontext"),
        (IsAGenerator(), "open() returned an asynchronous generator and not"),
        (GivesTheAdapter(), "and not a conformance.subject.Rig"),
        (
            Changed(adapter=NoCancel()),
            "the adapter has no props, capabilities, engine_version, submit, cancel",
        ),
        (Changed(adapter=AsksAsAGenerator()), "submit() returned an asynchronous generator and not"),
        (Changed(facts=None), "facts.live is None and not a number"),
        (Changed(engine_version=None), "engine_version is None and not a text"),
        (Changed(stop=None), "stop cannot be called"),
        (FaultsRaise(), "faults() raised KeyError: 'no such row' (tests/conformance/test_rehearsal.py:"),
        (FaultsAreNone(), "faults() returned None and not a sequence of conformance.subject.Fault"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Plain) else "",
)
def test_what_is_wrong_with_a_subject_is_said(subject: Plain, words: str) -> None:
    with pytest.raises(CannotPlay) as caught:
        rehearse(subject, wall_s=0.5)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["mock", "llamacpp", "triton-grpc"])
def test_a_shipped_subject_can_be_played_to(name: str) -> None:
    rehearse(SUBJECTS[name])


def test_a_running_engine_is_not_played_to() -> None:
    running = Raises()
    running.limits = {SCRIPTS: "it is a real one"}
    rehearse(running)


async def test_the_function_for_tests_says_it_too() -> None:
    with pytest.raises(CannotPlay, match="no licence file"):
        await check_adapter(Raises())
    with pytest.raises(NoSubject, match="is a class; make an object of it"):
        await check_adapter(Raises)  # type: ignore[arg-type]  # the mistake


def test_an_id_that_no_check_has_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="there is no check 'CAN-1'; did you mean"):
        run_suite(MOCK, only=["CAN-1"])
    assert [each.check.id for each in run_suite(MOCK, only="CAN-06,FRM-10", twice=False).checks] == ["FRM-10", "CAN-06"]
