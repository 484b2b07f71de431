"""The zoo, and the proof it gives: every broken adapter is caught by the check whose rule it breaks, no odd one is.

A mutant counts as caught only if the failure text names the requirement too: a check that fails unhelpfully is a broken
check. The animals themselves are in `zoo/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import specs

from .catalogue import CHECKS
from .check import MOST_SEEDS
from .failure import failure_text
from .outcome import Exit, Outcome
from .power.schedules import FewSchedules
from .runner import run_checks
from .selection import select_whole
from .zoo import (
    blind_faults,
    bound_faults,
    cancel_faults,
    error_faults,
    escape_faults,
    failure_faults,
    fidelity_faults,
    load_faults,
    meeting_faults,
    observability_faults,
    odd_ones,
    order_faults,
    payload_faults,
    rare_cancel_faults,
    references,
    refusal_faults,
    report_faults,
    stopping_faults,
    stream_faults,
    wire_mutants,
)
from .zoo.animals import Reference
from .zoo.subject import zoo_subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .outcome import CheckReport
    from .subject import Subject
    from .zoo.animals import Mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """What became of a mutant: the checks that caught it, and the text of the one that had to."""

    mutant: Mutant
    caught_by: Sequence[str]
    text: str

    @property
    def is_right(self) -> bool:
        """Whether the right check caught it and its text names the requirement."""
        requirements = CHECKS[self.mutant.killed_by].requirements
        return self.mutant.killed_by in self.caught_by and all(each in self.text for each in requirements)


_FAULTS = (
    bound_faults,
    cancel_faults,
    rare_cancel_faults,
    stopping_faults,
    stream_faults,
    order_faults,
    payload_faults,
    fidelity_faults,
    failure_faults,
    error_faults,
    wire_mutants,
    refusal_faults,
    blind_faults,
    load_faults,
    escape_faults,
    meeting_faults,
    report_faults,
    observability_faults,
)

MUTANTS: tuple[Mutant, ...] = tuple(mutant for file in _FAULTS for mutant in file.MUTANTS)

REFERENCES: tuple[Reference, ...] = (*references.REFERENCES, *odd_ones.REFERENCES)


def subject_of(animal: Mutant | Reference) -> Subject:
    """Return the subject whose adapter is this animal."""
    limits = animal.limits if isinstance(animal, Reference) else None
    return zoo_subject(animal.name, animal.animal, animal.base, limits)


def adapter_name(animal: Mutant | Reference) -> str:
    """Return what `--adapter` takes for it."""
    return f"conformance.zoo.by_name:{animal.animal.__name__}"


def hunt(mutant: Mutant, *, is_whole: bool = False) -> Kill:
    """Run the check that has to catch the mutant until it does, or with `is_whole` every check to its end."""
    own = [CHECKS[mutant.under or mutant.killed_by], CHECKS[mutant.killed_by]]
    checks = list(CHECKS.values()) if is_whole else own
    subject = subject_of(mutant)
    every = list(CHECKS.values())
    result = run_checks(subject, select_whole(checks), specs.load(), every=every, stop_early=not is_whole)
    caught = {each.check.id: each for each in result.having(Outcome.FAIL, Outcome.WARN)}
    killer = caught.get(mutant.killed_by)
    text = failure_text(killer, specs.load(), adapter_name(mutant)) if killer is not None else ""
    return Kill(mutant=mutant, caught_by=tuple(caught), text=text)


def blamed(reference: Reference, *, schedules: int = MOST_SEEDS) -> tuple[Sequence[CheckReport], Exit]:
    """Return the checks that blame an odd but correct adapter, and how the run came out.

    Races are played under at most so many `schedules`.
    """
    every = list(CHECKS.values())
    selection = FewSchedules.of(select_whole(every), schedules)
    subject = subject_of(reference)
    result = run_checks(subject, selection, specs.load(), every=every, stop_early=True)
    broken = result.having(Outcome.FAIL, Outcome.WARN, Outcome.NOT_TESTABLE)
    return [each for each in broken if each.check.id not in reference.warns], result.exit_code


def unproved(kills: Iterable[Kill]) -> list[str]:
    """Return the checks that no mutant proves."""
    proved = {check_id for kill in kills for check_id in kill.caught_by}
    return [check_id for check_id in CHECKS if check_id not in proved]
