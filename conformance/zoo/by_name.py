"""Every animal as a subject, by the name of its class: `--adapter conformance.zoo.by_name:LooksThenWaits`.

So what a hunt has found can be played again like the failure of any adapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.mutants import MUTANTS, REFERENCES, subject_of

if TYPE_CHECKING:
    from conformance.subject import Subject

    from .animals import Mutant, Reference

_ALL: tuple[Mutant | Reference, ...] = (*MUTANTS, *REFERENCES)
_ANIMALS = {each.animal.__name__: each for each in _ALL}


def __getattr__(name: str) -> Subject:
    if name not in _ANIMALS:
        raise AttributeError(name)
    return subject_of(_ANIMALS[name])


def __dir__() -> list[str]:
    return sorted(_ANIMALS)
