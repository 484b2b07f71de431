"""The service's error codes and the envelope that carries them.

One table gives each code its HTTP status and whether the same request may be tried again; one function turns a
`WorkerError` into an envelope. Messages are redacted where they are made public, in `routes` and `runtime`.

Implements: OC-CTRL-2030, OC-CTRL-2031, OC-CTRL-2032, AH-1005.
"""

from dataclasses import dataclass
from enum import StrEnum

from adapter_api import JsonValue, WorkerError
from adapter_host import ReplicaExhausted


class Code(StrEnum):
    """Every code a client can see."""

    INVALID_PARAMS = "INVALID_PARAMS"
    DEADLINE_UNMET = "DEADLINE_UNMET"
    MODEL_DEPRECATED = "MODEL_DEPRECATED"
    UNTRUSTED_ARTIFACT = "UNTRUSTED_ARTIFACT"
    ADMISSION_REJECT = "ADMISSION_REJECT"
    QUEUE_FULL_DROP_LRU = "QUEUE_FULL_DROP_LRU"
    POOL_UNREADY = "POOL_UNREADY"
    POOL_UNAVAILABLE = "POOL_UNAVAILABLE"
    REPLICA_EXHAUSTED = "REPLICA_EXHAUSTED"
    DECODE_TIMEOUT = "DECODE_TIMEOUT"
    WORKER_RESET = "WORKER_RESET"
    INTERNAL = "INTERNAL"
    MISSING_TOKEN = "MISSING_TOKEN"
    BAD_TOKEN = "BAD_TOKEN"
    NON_LOOPBACK_WITHOUT_TOKEN = "NON_LOOPBACK_WITHOUT_TOKEN"
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a code means to HTTP: the status, and whether trying again can help."""

    status: int
    retriable: bool


TERMS: dict[Code, Terms] = {
    Code.INVALID_PARAMS: Terms(400, retriable=False),
    Code.DEADLINE_UNMET: Terms(400, retriable=False),
    Code.MODEL_DEPRECATED: Terms(400, retriable=False),
    Code.UNTRUSTED_ARTIFACT: Terms(400, retriable=False),
    Code.ADMISSION_REJECT: Terms(429, retriable=True),
    Code.QUEUE_FULL_DROP_LRU: Terms(429, retriable=True),
    Code.POOL_UNREADY: Terms(503, retriable=True),
    Code.POOL_UNAVAILABLE: Terms(503, retriable=True),
    Code.REPLICA_EXHAUSTED: Terms(503, retriable=True),
    Code.DECODE_TIMEOUT: Terms(500, retriable=True),
    Code.WORKER_RESET: Terms(500, retriable=True),
    Code.INTERNAL: Terms(500, retriable=False),
    Code.MISSING_TOKEN: Terms(401, retriable=False),
    Code.BAD_TOKEN: Terms(401, retriable=False),
    Code.NON_LOOPBACK_WITHOUT_TOKEN: Terms(403, retriable=False),
    Code.NOT_FOUND: Terms(404, retriable=False),
}
AUTH_NUMBERS: dict[Code, int] = {
    Code.MISSING_TOKEN: 40101,
    Code.BAD_TOKEN: 40102,
    Code.NON_LOOPBACK_WITHOUT_TOKEN: 40301,
}
WORKER_CODES: dict[str, Code] = {
    "DeadlineUnmet": Code.DEADLINE_UNMET,
    "PoolUnavailable": Code.POOL_UNAVAILABLE,
    "DecodeTimeout": Code.DECODE_TIMEOUT,
    "WorkerReset": Code.WORKER_RESET,
    "Adapter": Code.INTERNAL,
    "Internal": Code.INTERNAL,
}
"""`WorkerError.kind` -> code; what blames the request is `INVALID_PARAMS` instead, an unknown kind is `Internal`."""
INTERNAL_MESSAGE = "internal error; the log has the details under this correlation id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEnvelope:
    """What a client gets instead of an answer. Unknown fields stay out of the body."""

    code: Code
    message: str
    retriable: bool | None = None
    engine: str | None = None
    pool_id: str | None = None
    retry_after_ms: int | None = None
    policy_label: str | None = None
    hint: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status, where no stream has begun."""
        return TERMS[self.code].status

    @property
    def data(self) -> dict[str, JsonValue]:
        """The JSON body."""
        retriable = TERMS[self.code].retriable if self.retriable is None else self.retriable
        fields: dict[str, JsonValue] = {
            "code": self.code.value,
            "number": AUTH_NUMBERS.get(self.code),
            "message": self.message,
            "retriable": retriable,
            "engine": self.engine,
            "pool_id": self.pool_id,
            "retry_after_ms": self.retry_after_ms,
            "policy_label": self.policy_label,
            "hint": self.hint,
        }
        return {name: value for name, value in fields.items() if value is not None}


class Refused(Exception):
    """A request is answered with an error; the envelope is the whole answer."""

    def __init__(self, envelope: ErrorEnvelope) -> None:
        super().__init__(f"{envelope.code}: {envelope.message}")
        self.envelope = envelope


def envelope_of(error: WorkerError, engine: str, pool_id: str) -> ErrorEnvelope:
    """Return what a client is told of a failed engine call."""
    kind = error.kind if error.kind in WORKER_CODES else "Internal"
    code = Code.INVALID_PARAMS if error.blames_request else WORKER_CODES[kind]
    if isinstance(error, ReplicaExhausted):
        code = Code.REPLICA_EXHAUSTED
    return ErrorEnvelope(
        code=code,
        message=INTERNAL_MESSAGE if kind == "Internal" else error.message,
        retriable=error.retriable,
        engine=engine,
        pool_id=pool_id,
        retry_after_ms=error.retry_after_ms,
    )
