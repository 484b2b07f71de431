"""The events of one stream: `started`, `token`, `metrics`, `end`, `error`, and no other kind.

Each class knows its `kind` and gives its `data`, the payload under the contract's field names, without the fields that
are unknown. Which event may follow which is `_order.py`.

Implements: ADAPT-3001, ADAPT-3003, ADAPT-3010.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from ._errors import WorkerError

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


class EventKind(StrEnum):
    """The five kinds of event at the adapter boundary."""

    STARTED = "started"
    TOKEN = "token"
    METRICS = "metrics"
    END = "end"
    ERROR = "error"


class FinishReason(StrEnum):
    """Why a stream ended well; an engine's own word that fits none is `OTHER`."""

    STOP = "stop"
    LENGTH = "length"
    CANCELED = "canceled"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"
    OTHER = "other"


def _known(**fields: JsonValue) -> dict[str, JsonValue]:
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The engine has taken the request; the determinism signals travel here (ADAPT-3003)."""

    kind: ClassVar[EventKind] = EventKind.STARTED

    engine_version: str | None = None
    model_digest: str | None = None
    sampler_profile_version: str | None = None
    seed: int | None = None
    tokens_in: int | None = None
    kv_warmth: bool | None = None

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload, known fields only."""
        return _known(
            engine_version=self.engine_version,
            model_digest=self.model_digest,
            sampler_profile_version=self.sampler_profile_version,
            seed=self.seed,
            tokens_in=self.tokens_in,
            kv_warmth=self.kv_warmth,
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text, never empty, never half a UTF-8 character; `i` counts from 0 with no gap."""

    kind: ClassVar[EventKind] = EventKind.TOKEN

    t: str
    i: int

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload."""
        return {"t": self.t, "i": self.i}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Numbers about the running request; may be dropped by anyone on the way."""

    kind: ClassVar[EventKind] = EventKind.METRICS

    values: Mapping[str, JsonValue]

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload."""
        return dict(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The engine's own end marker arrived.

    `tokens_out` and `tokens_in` are the engine's counts where it reports them. `decode_time_ms` is measured by the
    adapter from the first token. `engine_finish_reason` keeps the engine's own word where `finish_reason` is `OTHER`.
    `result` carries the vectors of an embedding or the scores of a rerank.
    """

    kind: ClassVar[EventKind] = EventKind.END

    tokens_out: int
    decode_time_ms: int
    finish_reason: FinishReason = FinishReason.STOP
    tokens_in: int | None = None
    engine_finish_reason: str | None = None
    canceled: bool = False
    result: JsonValue = field(default=None, repr=False)

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload; `decode_ms` repeats `decode_time_ms` for older clients."""
        return _known(
            tokens_out=self.tokens_out,
            decode_time_ms=self.decode_time_ms,
            decode_ms=self.decode_time_ms,
            finish_reason=self.finish_reason.value,
            tokens_in=self.tokens_in,
            engine_finish_reason=self.engine_finish_reason,
            canceled=True if self.canceled else None,
            result=self.result,
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure as an event; raising the `WorkerError` instead means the same."""

    kind: ClassVar[EventKind] = EventKind.ERROR

    error: WorkerError

    @property
    def data(self) -> dict[str, JsonValue]:
        """The payload: the adapter's kind, not yet the service's code."""
        return _known(
            kind=self.error.kind,
            message=self.error.message,
            retriable=self.error.retriable,
            retry_after_ms=self.error.retry_after_ms,
        )


TokenEvent = Started | Token | Metrics | End | Failed
"""One event of a stream (ADAPT-3001)."""
