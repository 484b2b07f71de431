"""Where to begin when much fails: the rule that is broken wherever others are, or the error that streams end with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapter_api import AdapterError
from conformance.api import run_suite
from conformance.beginning import FEW, where_to_begin
from conformance.outcome import Outcome
from conformance.subjects import SUBJECTS
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject
from conformance.zoo.wrapper import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import TokenEvent

MANY = ["FRM-07", "FRM-10", "FRM-12", "FRM-13", "SCH-06", "SCH-07", "RED-05", "CON-01"]


class Crashes(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        raise LookupError("no such event")


class AsksElsewhere(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        raise AdapterError("completion: HTTP 404: no such route")


def begin(animal: type[Stream], *only: str) -> str | None:
    report = run_suite(ZooSubject("animal", SUBJECTS["llamacpp"], animal), only=only, twice=False)
    assert report.having(Outcome.FAIL)
    return where_to_begin(report)


@pytest.mark.parametrize(
    ("animal", "words"),
    [
        (
            Crashes,
            "begin with ERR-05: an exception that nobody handles leaves the adapter (LookupError('no such event')",
        ),
        (AsksElsewhere, "begin with this error: Adapter 'completion: HTTP 404: no such route'; streams end with it in"),
    ],
)
def test_the_one_mistake_behind_many_failures_is_named(animal: type[Stream], words: str) -> None:
    told = begin(animal, *MANY)
    assert told is not None
    assert told.startswith(words)


def test_a_few_failures_are_read_one_after_the_other() -> None:
    assert FEW == 3
    assert begin(RepeatsAnIndex, "FRM-03") is None
