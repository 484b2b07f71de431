"""The shape of each kind of table in TOML: what stands around its rows.

Like rows, shapes reject unknown keys.
"""

from typing import Annotated

import msgspec

from ._rows import (
    Agreement,
    Bound,
    EngineError,
    ErrorCode,
    Exclusion,
    Metric,
    Name,
    Profile,
    Route,
    StatusRow,
    WorkerErrorRow,
)
from ._rows import Environment as Variable


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transition table; targets are checked by the reader, which knows their lines."""

    initial: str
    final: tuple[str, ...]
    transitions: dict[str, dict[str, object]]


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The error codes."""

    code: tuple[ErrorCode, ...]


class Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What adapters' errors become."""

    kind: tuple[WorkerErrorRow, ...]


class EngineErrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The failures of one engine."""

    error: tuple[EngineError, ...]


class Statuses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The meaning of statuses."""

    rule: tuple[StatusRow, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of redaction with its samples still as templates."""

    kind: Name
    pattern: Name
    anywhere: bool = False
    hides: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    passes: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]


class Redaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of redaction."""

    contexts: tuple[str, ...]
    rule: tuple[Rule, ...]


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metrics and the budgets of their labels."""

    budgets: dict[str, int]
    metric: tuple[Metric, ...]


class Routes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The routes, and the version of the interface that they are."""

    route: tuple[Route, ...]
    version: str = ""
    never_served: tuple[str, ...] = ()


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Some defaults in figures."""

    bound: tuple[Bound, ...]


class Headers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Required headers."""

    required: tuple[str, ...]


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The environment variables."""

    variable: tuple[Variable, ...]


class Profiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How requirements are proved, and how many of those that do not bind may go without a proof."""

    profile: tuple[Profile, ...]
    unproved_advice: Annotated[int, msgspec.Meta(ge=0)] = 0


class Exclusions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proofs that are not asked for."""

    exclusion: tuple[Exclusion, ...]


class Agreements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets of words that are the same in several places."""

    agreement: tuple[Agreement, ...]
