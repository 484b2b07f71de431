"""What a check of a service is, as data; and the ids of those that are watched under every other check.

A check's play does something to the service through a `Visit` and says what it expects; a finding names the check whose
rule was broken, which need not be the one that is played.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from conformance.check import Check, Scene

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .visit import Visit

    Play = Callable[[Visit], Awaitable[None]]


class Group(StrEnum):
    """What a check is about."""

    HTTP = "HTTP"
    ERRORS = "errors"
    ADMISSION = "admission"
    STREAM = "stream"
    CANCEL = "cancel"
    AUTH = "auth"
    OBSERVABILITY = "observability"
    REDACTION = "redaction"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCheck(Check):
    """One rule that a service is held to: no scenes with cases, but one play over HTTP."""

    group: Group
    play: Play
    scenes: tuple[Scene, ...] = ()


CORRELATED = "S-HTTP-01"
ENVELOPE = "S-ERR-01"
STATUS = "S-ERR-02"
NO_ROOM = "S-ERR-03"
RETRIABLE = "S-ERR-04"
ORDER = "S-STR-01"
PAYLOAD = "S-STR-02"
NUMBERED = "S-STR-03"
INDEXED = "S-STR-04"
ENDED = "S-STR-05"
STREAM_HEAD = "S-STR-06"
ERROR_FRAME = "S-STR-07"
FEASIBLE = "S-QUE-02"
ADMITTED = "S-ADM-01"
SECRET = "S-RED-01"
