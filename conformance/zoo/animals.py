"""What an animal of the zoo is, as data: its class, and what the kit has to make of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .subject import Animal


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken adapter, the check that has to catch it, and the subject whose correct adapter it is made from.

    A rule that is watched at all times may be broken only where its own scenes do not look: `under` is then the check
    whose scenes do.
    """

    animal: Animal
    killed_by: str
    base: str = "mock"
    under: str = ""

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
    """An odd adapter that conforms; `warns` are the checks of SHOULD rules that it does not follow.

    `limits` are what cannot be induced with it, beyond those of its base: name of the means -> why.
    """

    animal: Animal
    warns: frozenset[str] = frozenset()
    base: str = "mock"
    limits: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """Its name, in kebab case."""
        return _kebab(self.animal)

    @property
    def oddity(self) -> str:
        """What is odd about it."""
        return _first_line(self.animal)


def _kebab(animal: Animal) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", animal.__name__).lower()


def _first_line(animal: Animal) -> str:
    return (animal.__doc__ or "").partition("\n")[0]
