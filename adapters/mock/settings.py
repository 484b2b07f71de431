"""What the mock engine can be told: its size, its pace and, step by step, what it does.

Settings are data (TOML or JSON). A script is a list of steps, each named by `do`; it is played as written, so it can
also break the order of events on purpose. No step and no setting touches a network.

Implements: ORCH-3058.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from adapter_api import ERROR_KINDS, FinishReason, Secret, Workload
from http_util.settings import CREDENTIAL

Milliseconds = Annotated[int, Meta(ge=0)]


class _Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    """One thing the engine does."""


class Started(_Step, frozen=True, tag="started"):
    """Take the request: the `started` event."""


class Token(_Step, frozen=True, tag="token"):
    """Say a piece of text; an empty one is progress without an event, as with real engines."""

    text: str


class Pause(_Step, frozen=True, tag="pause"):
    """Work in silence for so long."""

    ms: Annotated[float, Meta(ge=0)]


class Stall(_Step, frozen=True, tag="stall"):
    """Fall silent for good."""


class Metrics(_Step, frozen=True, tag="metrics"):
    """Report numbers."""

    values: dict[str, str | int | float | bool | None]


class Error(_Step, frozen=True, tag="error"):
    """Fail with a kind of the taxonomy; `as_event` gives the failure as an event instead of raising it."""

    kind: str = "Internal"
    message: str = "completion: scripted error"
    retriable: bool | None = None
    retry_after_ms: Milliseconds | None = None
    blames_request: bool = False
    as_event: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ERROR_KINDS:
            raise ValueError(f"unknown error kind {self.kind!r} (known: {', '.join(ERROR_KINDS)})")


class Reset(_Step, frozen=True, tag="reset"):
    """Cut the connection without an end marker."""


class End(_Step, frozen=True, tag="end"):
    """Give the end marker; counts that are absent are counted."""

    reason: FinishReason = FinishReason.STOP
    tokens_out: Annotated[int, Meta(ge=0)] | None = None
    tokens_in: Annotated[int, Meta(ge=0)] | None = None


Step = Started | Token | Pause | Stall | Metrics | Error | Reset | End


class SeedBehaviour(StrEnum):
    """What the engine makes of a request's seed."""

    HONOUR = "honour"
    IGNORE = "ignore"


class MockSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one mock engine."""

    script: Annotated[
        tuple[Step, ...] | None,
        Meta(description="Steps to play for every request; absent means a plausible answer made from seed and prompt."),
    ] = None
    scripts: Annotated[
        tuple[tuple[Step, ...], ...],
        Meta(description="Several scripts: the n-th request plays the n-th, all further ones the last."),
    ] = ()
    tokens_per_second: Annotated[float, Meta(ge=0, description="Pace of a made-up answer; 0 means no pause.")] = 40.0
    slots: Annotated[int, Meta(ge=1, description="Requests answered at the same time; more wait in line.")] = 4
    ctx_max: Annotated[int, Meta(ge=1, description="Context size in tokens; prompt and answer share it.")] = 4096
    loading_ms: Annotated[int, Meta(ge=0, description="Time after opening during which the engine loads.")] = 0
    workloads: Annotated[tuple[Workload, ...], Meta(description="Kinds of answer the engine serves.")] = tuple(Workload)
    seed_behaviour: Annotated[
        SeedBehaviour, Meta(description="`honour`: same seed and prompt, same text; `ignore`: a new text every time.")
    ] = SeedBehaviour.HONOUR
    first_token_ms: Annotated[int, Meta(ge=1, description="Longest wait for the first token.")] = 120_000
    idle_ms: Annotated[int, Meta(ge=1, description="Longest silence between tokens.")] = 30_000
    model: Annotated[str, Meta(description="Name of the pretended model.")] = "mock"
    engine_version: Annotated[str, Meta(description="Version the engine reports.")] = "mock-1"
    model_digest: Annotated[str | None, Meta(description="Digest the engine reports for its model.")] = None
    api_key: Annotated[
        Secret | None,
        Meta(
            description="Accepted and never used, so that a real engine's configuration can be tried.",
            extra_json_schema=CREDENTIAL,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.script is not None and self.scripts:
            raise ValueError("`script` and `scripts` exclude each other")

    def script_for(self, number: int) -> tuple[Step, ...] | None:
        """Return what the request with this number, counted from 0, plays; None means an answer is made up."""
        if self.scripts:
            return self.scripts[min(number, len(self.scripts) - 1)]
        return self.script
