"""What the tests of the zoo share: each file of them runs on one worker, so the animals are spread over several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.api import mask_for
from conformance.mutants import MUTANTS, REFERENCES, blamed, hunt
from conformance.outcome import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.zoo.animals import Mutant, Reference

_HERSELF = "mock"
"""The base without a wire, and without its costs."""


def mutants(share: int, of: int, *, on_a_wire: bool) -> list[Mutant]:
    """Return one share of the mutants that are made from an adapter with a wire, or from the one without."""
    return [each for each in MUTANTS if (each.base != _HERSELF) == on_a_wire][share::of]


def references(share: int, of: int) -> list[Reference]:
    """Return one share of the odd ones."""
    return list(REFERENCES)[share::of]


def assert_caught(mutant: Mutant) -> None:
    """Hunt it: the check whose rule it breaks has to catch it, and to say which requirement that is."""
    kill = hunt(mutant)
    assert mutant.killed_by in kill.caught_by, f"{mutant.name} ({mutant.fault}) was caught by {kill.caught_by}"
    assert kill.is_right, kill.text
    assert "reproduce" in kill.text
    assert mask_for(0)(kill.text).count("canary:") or mask_for(0)(kill.text) == kill.text


def assert_not_blamed(reference: Reference, schedules: int = 1) -> None:
    """Try all checks on it: none may blame it, but for those whose advice it does not follow.

    Its races are played under one schedule here, for the time that it takes; `test_many_schedules` plays them all.
    """
    blaming, code = blamed(reference, schedules=schedules)
    assert not [(each.check.id, [finding.actual for finding in each.broken_by[0].findings]) for each in blaming]
    assert code is Exit.CONFORMING


def name(animal: Mutant | Reference) -> str:
    """Return what a test of this animal is called by."""
    return animal.name


def twice(names: Iterable[str]) -> Iterator[str]:
    """Yield what is named more than once."""
    seen: set[str] = set()
    for each in names:
        if each in seen:
            yield each
        seen.add(each)
