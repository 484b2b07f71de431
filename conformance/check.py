"""What a check is, as data: its id, the requirements it holds an adapter to, its level, its group, its scene.

A scene is a set of cases to play; several checks may judge the same scene, each finding names the check it belongs to.
The rules that hold at all times belong to the scene of everyday life and are judged under every other scene as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from specs import Specification

    from .lab import Lab
    from .subject import Subject

    Play = Callable[[Lab], Awaitable[None]]
    Cases = Callable[[Subject, Specification], Iterable["Case"]]

T = TypeVar("T")


MOST_SEEDS = 8
"""Schedules that a race is tried under: a mutant that is late by one checkpoint shows in one of four."""


class Level(StrEnum):
    """How binding a check is; a failed `SHOULD` is a warning."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Group(StrEnum):
    """What a check is about."""

    LIFE = "life cycle"
    ORDER = "frame order"
    SCHEMA = "payload schema"
    ERRORS = "errors"
    CANCEL = "cancel"
    TIMEOUTS = "time-outs"
    REDACTION = "redaction"
    DETERMINISM = "determinism"
    CONCURRENCY = "concurrency"
    LEAKS = "leaks"
    REPORTS = "reports"
    OBSERVABILITY = "observability"


@dataclass(frozen=True, slots=True)
class Case:
    """One play of a scene, under `seeds` different schedules; `play` states what it finds to the lab.

    What is not scripted holds for an engine that does as it likes, too.
    """

    name: str
    play: Play
    seeds: int = 1
    is_scripted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Cases that are played for one or more checks.

    `name` is short and in kebab case: with a case's name behind it, it is what `--only` takes.
    """

    name: str
    how: str
    cases: Cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule that an adapter is held to, and the scenes that try it.

    `causes` are the mistakes that usually break it, for the failure text. `group` is a `Group` for adapters; services
    have groups of their own.
    """

    id: str
    title: str
    group: StrEnum
    requirements: tuple[str, ...]
    scenes: tuple[Scene, ...]
    level: Level = Level.MUST
    causes: tuple[str, ...] = ()


def one(play: Play, name: str = "only", *, scripted: bool = True) -> Cases:
    """Return a scene's cases: this one alone."""
    return lambda _subject, _spec: (Case(name, play, is_scripted=scripted),)


def each(
    play: Callable[[Lab, T], Awaitable[None]], variants: Mapping[str, T], seeds: int = 1, *, scripted: bool = True
) -> Cases:
    """Return a scene's cases: the play with each of the named variants."""
    cases = tuple(Case(name, partial(_swapped, play, variant), seeds, scripted) for name, variant in variants.items())
    return lambda _subject, _spec: cases


def joined(*parts: Cases) -> Cases:
    """Return the cases of several parts as those of one scene."""
    return lambda subject, spec: chain.from_iterable(part(subject, spec) for part in parts)


async def _swapped(play: Callable[[Lab, T], Awaitable[None]], variant: T, lab: Lab) -> None:
    await play(lab, variant)
