"""The rows of the tables in the documents.

They are frozen and reject unknown keys, so that a typing error in a document cannot pass as a row that says less. What
the columns mean to the service is told where the tables stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1)]


class ErrorCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code that clients see: `http` is None where no answer can carry it, `number` the older numeric form."""

    code: Name
    http: int | None = None
    retriable: bool
    in_stream: bool
    when: Name
    number: int | None = None


class WorkerErrorRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of an adapter's error: its code, the code if it blames the request, and whose words are told."""

    kind: Name
    code: Name
    code_if_blamed: str | None = None
    retriable: bool
    words: Literal["engine", "fixed"]


class ErrorPhase(StrEnum):
    """Where an engine's failure shows: in the HTTP answer, inside the stream, or under HTTP."""

    RESPONSE = "response"
    STREAM = "stream"
    TRANSPORT = "transport"


class EngineError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way in which an engine fails, enough of it to be played, and what it means.

    `status`, `headers`, `body` and `content_type` are the answer of a `response`; `body` is the data of the event of a
    `stream`, in the SSE field `sse_field`; `fault` names what happens to the connection of a `transport` row.
    """

    id: Name
    condition: Name
    phase: ErrorPhase
    kind: Name
    retriable: bool
    blames_request: bool = False
    status: int = 200
    headers: dict[str, str] = {}
    body: str = ""
    content_type: str = "application/json"
    sse_field: str = "data"
    fault: str = ""


class StatusRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What HTTP statuses mean where the body says nothing better; `statuses` is a list like "429 500-503"."""

    statuses: Annotated[str, msgspec.Meta(pattern=r"^\d{3}(-\d{3})?( \d{3}(-\d{3})?)*$")]
    where: Literal["any", "response", "stream"] = "any"
    body: Literal["any", "opaque"] = "any"
    kind: Name
    retriable: bool
    blames_request: bool = False

    def covers(self, status: int) -> bool:
        """Whether the row speaks of `status`."""
        spans = (part.partition("-") for part in self.statuses.split())
        return any(int(low) <= status <= int(high or low) for low, _, high in spans)


@dataclass(frozen=True, slots=True)
class Sample:
    """A text with secrets in it; `secrets` are the parts that may not be seen after redaction."""

    text: str
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRow:
    """One rule of redaction with texts that it hides something of and texts that it leaves alone.

    `is_anywhere` says that the secret is known by its own shape, whatever stands around it.
    """

    kind: str
    pattern: str
    is_anywhere: bool
    hides: tuple[Sample, ...]
    passes: tuple[str, ...]


class MetricType(StrEnum):
    """The Prometheus types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric: its full name, its labels in order, and a histogram's upper bounds."""

    name: Name
    type: MetricType
    help: Name
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One route: the status of success, the media type of its body ("" for none), and the statuses of failure.

    `takes` and `gives` are the schemas, at the boundary `http`, of what is sent and of what is answered; "" for none.
    """

    method: Name
    path: Annotated[str, msgspec.Meta(pattern="^/")]
    success: int
    body: str = "application/json"
    takes: str = ""
    gives: str = ""
    failures: tuple[int, ...] = ()
    is_open: bool = False
    does: Name


class Bound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A default in figures: its unit, the setting that changes it ("" if none does), and the requirement it serves."""

    name: Name
    value: int | float
    unit: Name
    setting: str = ""
    requirement: Name


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An environment variable: its other names, its default as text, and what it does."""

    name: Name
    aliases: tuple[str, ...] = ()
    default: str = ""
    does: Name


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Documents whose binding requirements are proved in one way: by a `check` of the kit, or by a named `test`."""

    name: Name
    documents: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    proof: Literal["check", "test"]


class Exclusion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proof that is not asked for: `of` what, for the requirement or check `id`, why, and until when (a date)."""

    id: Name
    of: Literal["check", "test", "mutant", "execution"]
    reason: str = ""
    until: Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""


class Agreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sets of words that are the same: `documents` are tables and enumerations, `code` is where the code has them."""

    what: Name
    documents: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    code: tuple[Name, ...] = ()


class LogContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields that log records may have and the moments that are narrated."""

    fields: tuple[str, ...]
    events: tuple[str, ...]
