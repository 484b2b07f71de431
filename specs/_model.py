"""What a specification holds: requirements, the order of events, and the tables, whose rows are in `_rows.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ._toml import find_line

if TYPE_CHECKING:
    from ._markdown import Block
    from ._rows import (
        Agreement,
        Bound,
        EngineError,
        Environment,
        ErrorCode,
        Exclusion,
        LogContract,
        Metric,
        Profile,
        RedactionRow,
        Route,
        StatusRow,
        WorkerErrorRow,
    )

Schema = Mapping[str, object]


class Level(StrEnum):
    """How strong a requirement is: its keyword of RFC 2119."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement and where it stands: `section` is the heading above it, `aliases` its ids in older documents."""

    id: str
    revision: int
    level: Level
    statement: str
    document: str
    line: int
    section: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameOrderTable:
    """The order of events at one boundary: (state, event) -> next state; what is not in it is a violation."""

    boundary: str
    initial: str
    final: frozenset[str]
    transitions: Mapping[tuple[str, str], str]

    @property
    def events(self) -> frozenset[str]:
        """Every kind of event that may occur."""
        return frozenset(event for _, event in self.transitions)

    def legal(self, state: str) -> frozenset[str]:
        """The events that may come in `state`; none in a final one."""
        return frozenset(event for origin, event in self.transitions if origin == state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """Everything the documents say."""

    requirements: Mapping[str, Requirement]
    errors: Mapping[str, ErrorCode]
    worker_errors: Mapping[str, WorkerErrorRow]
    status_rules: tuple[StatusRow, ...]
    redaction_rules: tuple[RedactionRow, ...]
    redaction_contexts: tuple[str, ...]
    metrics: Mapping[str, Metric]
    label_budgets: Mapping[str, int]
    routes: tuple[Route, ...]
    never_served: tuple[str, ...]
    api_version: str
    bounds: Mapping[str, Bound]
    log: LogContract
    environment: tuple[Environment, ...]
    profiles: tuple[Profile, ...]
    unproved_advice: int
    exclusions: tuple[Exclusion, ...]
    agreements: tuple[Agreement, ...]
    _orders: Mapping[str, FrameOrderTable] = field(repr=False)
    _schemas: Mapping[tuple[str, str], Schema] = field(repr=False)
    _engine_errors: Mapping[str, tuple[EngineError, ...]] = field(repr=False)
    _headers: Mapping[str, tuple[str, ...]] = field(repr=False)
    _aliases: Mapping[str, str] = field(repr=False)
    _blocks: Mapping[tuple[str, ...], Block] = field(repr=False)
    _tables: Mapping[str, Sequence[Block]] = field(repr=False)

    def requirement(self, id: str) -> Requirement:
        """Return a requirement by its id or an older one; KeyError if there is none."""
        return self.requirements[self._aliases.get(id, id)]

    def frame_order(self, boundary: str) -> FrameOrderTable:
        """Return the order of events at "adapter" or "wire"."""
        return self._orders[boundary]

    def schema(self, boundary: str, event: str) -> Schema:
        """Return the JSON Schema of a payload: an event at "adapter" or "wire", a body at "http"."""
        return self._schemas[boundary, event]

    @property
    def schemas(self) -> Mapping[tuple[str, str], Schema]:
        """(boundary, event) -> JSON Schema."""
        return self._schemas

    def engine_errors(self, engine: str) -> tuple[EngineError, ...]:
        """Return the ways in which `engine` fails; "any" has those that every engine shares."""
        return self._engine_errors[engine]

    def headers(self, situation: str) -> tuple[str, ...]:
        """Return the response headers that are required in `situation`: "every", "stream", "429"."""
        return self._headers[situation]

    @property
    def aliases(self) -> Mapping[str, str]:
        """Older id -> id."""
        return self._aliases

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that have a table of failures, "any" apart."""
        return tuple(engine for engine in self._engine_errors if engine != "any")

    def profile_of(self, requirement: Requirement) -> Profile | None:
        """Return the profile that has the requirement's document; None if none has."""
        name = requirement.document.rpartition("/")[2]
        return next((profile for profile in self.profiles if name in profile.documents), None)

    @property
    def tables(self) -> Mapping[str, Sequence[Block]]:
        """Name of a table, as its block has it -> the block; examples of one thing share a name."""
        return self._tables

    def place(self, *table: str, word: str = "") -> tuple[str, int]:
        """Return file and line of a table, named by its kind and attributes, or of `word` in it; KeyError if none."""
        block = self._blocks[table]
        return block.file, block.line + (find_line(block.text, word) if word else 0)
