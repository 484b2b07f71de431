"""What was put to the test, as far as it is told of: its kind, its name, and the commands that try it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .catalogue import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .check import Check
    from .outcome import CaseReport

ADAPTER, SERVICE = "adapter", "service"
"""The kinds of what can be put to the test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderTest:
    """`command` tries it whole, `every` are the ids of all checks for its kind.

    `address` gives what `--only` takes to see a broken check in a case again, `named` how a case is called in a
    sentence, `clock` says what the times are.
    """

    kind: str
    name: str
    command: str
    every: Collection[str]
    address: Callable[[Check, CaseReport], str]
    named: Callable[[CaseReport], str]
    clock: str

    def again(self, check: Check, case: CaseReport) -> str:
        """Return the command that plays this case again."""
        return f"{self.command} --only {self.address(check, case)}{_seed(case.seed)}"

    def in_whole(self, ids: Collection[str], seed: int) -> str:
        """Return the command that plays these checks again."""
        only = "" if set(ids) >= set(self.every) else f" --only {','.join(ids)}"
        return f"{self.command}{only}{_seed(seed)}"


def adapter(name: str) -> UnderTest:
    """Return an adapter, by what `--adapter` calls it."""
    return UnderTest(
        kind=ADAPTER,
        name=name,
        command=f"python -m conformance run --adapter {name}",
        every=CHECKS,
        address=_case_address,
        named=_case_named,
        clock="virtual time in seconds",
    )


def _case_address(check: Check, case: CaseReport) -> str:
    owner = check if case.scene in {scene.name for scene in check.scenes} else _owner(case.scene)
    return f"{owner.id}:{case.scene}/{case.case}"


def _case_named(case: CaseReport) -> str:
    return f"scene {case.scene}, case {case.case}, seed {case.seed}"


def _owner(scene_name: str) -> Check:
    """Return a check whose scene this is; the broken rule is watched under it."""
    return next(check for check in CHECKS.values() if scene_name in {scene.name for scene in check.scenes})


def _seed(seed: int) -> str:
    return f" --seed {seed}" if seed else ""
