"""A selection that is played under fewer schedules than an ordinary run would."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.selection import Selection

if TYPE_CHECKING:
    from conformance.check import Case, Scene
    from conformance.subject import Subject
    from specs import Specification


@dataclass(frozen=True, slots=True)
class FewSchedules(Selection):
    """Plays each case at most `most` times; once is under the schedule of the run's own seed."""

    most: int = 1

    @classmethod
    def of(cls, selection: Selection, most: int = 1) -> FewSchedules:
        """Return the same selection under fewer schedules."""
        return cls(selection.checks, selection.plays, most=most)

    def cases(self, scene: Scene, subject: Subject, spec: Specification) -> list[Case]:
        """Return the cases of a scene, each for so few schedules."""
        return [replace(case, seeds=min(case.seeds, self.most)) for case in Selection.cases(self, scene, subject, spec)]
