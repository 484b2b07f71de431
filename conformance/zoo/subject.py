"""Subjects whose adapter is an animal of the zoo.

An animal is put around the adapter of a base, or it is the plain adapter with one of its parts exchanged.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

import trio

from conformance.subjects import SUBJECTS

from .plain import ODD, PLAIN, plain_subject
from .wrapper import Stream, Surroundings, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from adapter_api import WorkerAdapter
    from conformance.subject import Fault, Rig, Situation, Subject
    from specs import Specification

    from .plain.subject import Part

    Animal = type[Stream | Wrapper] | Part

BASES: Mapping[str, Subject] = {**SUBJECTS, PLAIN.name: PLAIN, ODD.name: ODD}
"""The subjects that animals are made from, by name."""


def zoo_subject(name: str, animal: Animal, base: str, limits: Mapping[str, str] | None = None) -> Subject:
    """Return the subject whose adapter is this animal; `limits` are beyond those of its base."""
    if issubclass(animal, Stream | Wrapper):
        return ZooSubject(name, BASES[base], cast("type[Stream | Wrapper]", animal), limits or {})
    return plain_subject(name, cast("Part", animal))


@dataclass(frozen=True, slots=True)
class ZooSubject:
    """`base` with an animal around its adapter."""

    name: str
    base: Subject
    animal: type[Stream | Wrapper]
    own_limits: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """The engine of the base."""
        return self.base.engine

    @property
    def limits(self) -> Mapping[str, str]:
        """The limits of the base, and its own."""
        return {**self.base.limits, **self.own_limits}

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """The faults of the base."""
        return self.base.faults(spec)

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        """Open the base and wrap its adapter."""
        async with self.base.open(situation) as rig, trio.open_nursery() as tasks:
            around = Surroundings(
                tasks=tasks,
                api_key=situation.canaries["api_key"],
                idle_s=situation.idle_s,
                address=rig.address,
                connect=rig.connect,
            )
            yield replace(rig, adapter=self._wrap(rig.adapter, around))
            tasks.cancel_scope.cancel()

    def _wrap(self, adapter: WorkerAdapter, around: Surroundings) -> Wrapper:
        if issubclass(self.animal, Stream):
            return Wrapper(adapter, around, self.animal)
        return self.animal(adapter, around)
