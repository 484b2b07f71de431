"""The zoo, and the proof it gives: every broken adapter is caught by the check whose rule it breaks, no odd one is.

A mutant counts as caught only if the failure text names the requirement too: a check that fails unhelpfully is a broken
check. The animals themselves are in `zoo/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import specs

from .catalogue import CHECKS
from .failure import failure_text
from .outcome import Exit, Outcome
from .runner import run_checks
from .selection import select_whole
from .subjects import SUBJECTS
from .zoo import cancel_faults as cancel
from .zoo import failure_faults as failure
from .zoo import references
from .zoo import report_faults as report
from .zoo import stream_faults as stream
from .zoo.subject import ZooSubject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .check import Check
    from .outcome import CheckReport, SuiteReport
    from .subject import Subject
    from .zoo.subject import Animal


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken adapter, the check that has to catch it, and the subject whose correct adapter it is made from."""

    animal: Animal
    killed_by: str
    base: str = "mock"

    @property
    def name(self) -> str:
        """Its name, in kebab case."""
        return _kebab(self.animal)

    @property
    def fault(self) -> str:
        """What is wrong with it."""
        return _first_line(self.animal)


@dataclass(frozen=True, slots=True)
class Reference:
    """An odd adapter that conforms; `warns` are the checks of SHOULD rules that it does not follow."""

    animal: Animal
    warns: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its name, in kebab case."""
        return _kebab(self.animal)

    @property
    def oddity(self) -> str:
        """What is odd about it."""
        return _first_line(self.animal)


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


MUTANTS: tuple[Mutant, ...] = (
    Mutant(cancel.LooksThenWaits, "CAN-01"),
    Mutant(cancel.AcknowledgesFirst, "CAN-01"),
    Mutant(cancel.EmptiesItsBuffer, "CAN-01"),
    Mutant(cancel.KeepsTheEngineBusy, "CAN-07"),
    Mutant(cancel.WakesNobody, "CAN-02"),
    Mutant(cancel.HidesTheCancel, "CAN-02"),
    Mutant(cancel.MissesEarlyCancels, "CAN-02"),
    Mutant(cancel.ForgetsToStart, "CAN-02"),
    Mutant(cancel.RefusesASecondCancel, "CAN-03"),
    Mutant(cancel.RefusesUnknownIds, "CAN-03"),
    Mutant(cancel.RemembersCancels, "CAN-05"),
    Mutant(cancel.RemembersUnknownCancels, "CAN-06"),
    Mutant(cancel.CancelsEverybody, "CAN-08"),
    Mutant(cancel.LeavesSlowly, "CAN-09"),
    Mutant(cancel.ReadsToTheEnd, "CAN-09"),
    Mutant(cancel.WaitsForTheEngine, "CAN-10"),
    Mutant(stream.StartsTwice, "FRM-01"),
    Mutant(stream.SpeaksBeforeItStarts, "FRM-02"),
    Mutant(stream.RepeatsAnIndex, "FRM-03"),
    Mutant(stream.CountsForAll, "FRM-03"),
    Mutant(stream.ReportsAfterTheEnd, "FRM-05"),
    Mutant(stream.CleansTheText, "FRM-07"),
    Mutant(stream.HoldsEverythingBack, "FRM-08"),
    Mutant(stream.TakesSilenceForFailure, "FRM-10"),
    Mutant(stream.TakesACutForTheEnd, "FRM-13"),
    Mutant(stream.SaysNothingAloud, "FRM-14"),
    Mutant(stream.CutsCharacters, "FRM-14"),
    Mutant(stream.InventsAKind, "FRM-15"),
    Mutant(report.RemembersItsPastLife, "LIF-01"),
    Mutant(failure.BlamesTheRequest, "LIF-02"),
    Mutant(stream.ForgetsTheEnd, "LIF-03"),
    Mutant(stream.NeverStops, "LIF-04"),
    Mutant(failure.HangsWhenClosed, "LIF-05"),
    Mutant(failure.WaitsForAClosedDoor, "LIF-06"),
    Mutant(stream.HangsOnSilence, "LIF-10"),
    Mutant(stream.CountsBackwards, "SCH-01"),
    Mutant(stream.PassesTheEnginesFields, "SCH-03"),
    Mutant(stream.CountsInFractions, "SCH-04"),
    Mutant(stream.CallsEveryEndAStop, "SCH-06"),
    Mutant(stream.CountsNoTokens, "SCH-07"),
    Mutant(stream.TimesTheWait, "SCH-07"),
    Mutant(stream.KeepsTheSeedToItself, "DET-01"),
    Mutant(stream.MixesStreams, "CON-01"),
    Mutant(stream.ReadsAhead, "CON-03"),
    Mutant(failure.ServesOneAtATime, "CON-04"),
    Mutant(failure.MapsToTheWrongKind, "ERR-01"),
    Mutant(failure.ForbidsOneRetry, "ERR-03"),
    Mutant(failure.SaysTooLittle, "ERR-07"),
    Mutant(failure.DropsTheLastToken, "ERR-04"),
    Mutant(failure.LetsForeignErrorsOut, "ERR-05"),
    Mutant(failure.SwallowsCancelled, "ERR-06"),
    Mutant(failure.FailsTwice, "FRM-05"),
    Mutant(failure.GroupsErrors, "LIF-08"),
    Mutant(failure.RefusesWhatItClaims, "HPC-05"),
    Mutant(failure.WaitsForEver, "TMO-01"),
    Mutant(failure.CountsTheConsumersTime, "TMO-02"),
    Mutant(failure.CallsSilenceInternal, "TMO-03"),
    Mutant(failure.TriesAgain, "TMO-04"),
    Mutant(failure.ForgetsTheDeadline, "TMO-05"),
    Mutant(failure.CallsTheDeadlineSilence, "TMO-05"),
    Mutant(failure.LeavesTasksBehind, "LEA-01"),
    Mutant(failure.LeavesAConnection, "LEA-02", "llamacpp"),
    Mutant(failure.LosesSlotsOnErrors, "LEA-03"),
    Mutant(failure.ForgetsItsGenerator, "LEA-04"),
    Mutant(failure.ForgetsASocket, "LEA-04"),
    Mutant(report.QuotesItsKey, "RED-01"),
    Mutant(report.ShowsItsKey, "RED-01"),
    Mutant(report.LogsItsKey, "RED-01"),
    Mutant(report.CutsItsKey, "RED-01"),
    Mutant(report.QuotesTheAddress, "RED-09", "llamacpp"),
    Mutant(report.ChainsItsKey, "RED-07"),
    Mutant(report.RedactsTheModel, "RED-05"),
    Mutant(report.LogsPrompts, "RED-08"),
    Mutant(report.RaisesInHealth, "HPC-01"),
    Mutant(report.IsAlwaysReady, "HPC-01"),
    Mutant(report.WaitsForTheDead, "HPC-02"),
    Mutant(report.AsksByWorking, "HPC-03"),
    Mutant(report.GuessesSlots, "HPC-04"),
    Mutant(report.ClaimsOtherwise, "HPC-05"),
    Mutant(report.TellsItsOwnVersion, "HPC-06"),
    Mutant(report.ChangesItsMind, "HPC-07"),
)

_LATE = frozenset({"FRM-08"})

REFERENCES: tuple[Reference, ...] = (
    Reference(references.GivesHalves),
    Reference(references.GivesBigTokens, _LATE),
    Reference(references.ComesInPairs, _LATE),
    Reference(references.TakesItsTime, _LATE),
    Reference(references.StartsWithTheFirstToken),
    Reference(references.TalksInNumbers),
    Reference(references.FailsInEvents),
    Reference(references.FailsOnEntry),
    Reference(references.KnowsLittle),
)


def hunt(mutant: Mutant, *, is_whole: bool = False) -> Kill:
    """Run the check that has to catch the mutant until it does, or with `is_whole` every check to its end."""
    checks = list(CHECKS.values()) if is_whole else [CHECKS[mutant.killed_by]]
    result = _run(mutant.name, mutant.animal, SUBJECTS[mutant.base], checks, stop_early=not is_whole)
    caught = {each.check.id: each for each in result.having(Outcome.FAIL, Outcome.WARN)}
    own = caught.get(mutant.killed_by)
    text = failure_text(own, specs.load(), mutant.name) if own is not None else ""
    return Kill(mutant=mutant, caught_by=tuple(caught), text=text)


def blamed(reference: Reference, base: Subject) -> tuple[Sequence[CheckReport], Exit]:
    """Return the checks that blame an odd but correct adapter, and how the run came out."""
    result = _run(reference.name, reference.animal, base, list(CHECKS.values()), stop_early=True)
    broken = result.having(Outcome.FAIL, Outcome.WARN, Outcome.NOT_TESTABLE)
    return [each for each in broken if each.check.id not in reference.warns], result.exit_code


def unproved(kills: Iterable[Kill]) -> list[str]:
    """Return the checks that no mutant proves."""
    proved = {check_id for kill in kills for check_id in kill.caught_by}
    return [check_id for check_id in CHECKS if check_id not in proved]


def _run(name: str, animal: Animal, base: Subject, checks: list[Check], *, stop_early: bool) -> SuiteReport:
    subject = ZooSubject(name, base, animal)
    return run_checks(subject, select_whole(checks), specs.load(), every=list(CHECKS.values()), stop_early=stop_early)


def _kebab(animal: Animal) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", animal.__name__).lower()


def _first_line(animal: Animal) -> str:
    return (animal.__doc__ or "").partition("\n")[0]
