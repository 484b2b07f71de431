"""An adapter with hardly anything right in it is judged like any other, and its faults are never the kit's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from adapter_api import AdapterError
from conformance.api import run_suite
from conformance.outcome import Exit
from conformance.subjects import SUBJECTS
from conformance.zoo.subject import ZooSubject
from conformance.zoo.wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from adapter_api import TaskRequest, TokenEvent


class RefusesEverything(Wrapper):
    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[Stream]:
        raise AdapterError("no such route")
        yield


class GivesNoEvents(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        return (None,)  # type: ignore[return-value]  # the mistake


class ReportsNothing(Wrapper):
    async def health(self) -> None:  # type: ignore[override]  # the mistake
        return None

    async def props(self) -> None:  # type: ignore[override]  # likewise
        return None

    async def capabilities(self) -> None:  # type: ignore[override]  # likewise
        return None


@pytest.mark.req("GATE-1001f")
@pytest.mark.parametrize("animal", [RefusesEverything, GivesNoEvents, ReportsNothing])
def test_it_does_not_conform_and_the_kit_is_whole(animal: type[Stream | Wrapper]) -> None:
    report = run_suite(ZooSubject("wrecked", SUBJECTS["mock"], animal), twice=False)
    assert [f"{case.scene}/{case.case}: {case.kit_error}" for case in report.kit_errors] == []
    assert report.exit_code is Exit.NOT_CONFORMING
