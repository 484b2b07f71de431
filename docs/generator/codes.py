"""The blocks on errors: codes with what a client should do, and what engines' failures become."""

from __future__ import annotations

import specs

from .markdown import code, table

ADVICE = {
    "INVALID_PARAMS": "Change the request: the message names the field.",
    "DEADLINE_UNMET": "Give it more time, or do without. With `retry_after_ms`: that long until a slot is free.",
    "MODEL_DEPRECATED": "Ask for another model.",
    "UNTRUSTED_ARTIFACT": "Ask for another model.",
    "ADMISSION_REJECT": "Wait `Retry-After` seconds, then send it again.",
    "QUEUE_FULL_DROP_LRU": "Wait `Retry-After` seconds (in a stream `retry_after_ms`), then send it under a new id.",
    "POOL_UNREADY": "Wait `Retry-After` seconds, then send it again; look at `/v1/pools/{id}/health`.",
    "POOL_UNAVAILABLE": "Wait `retry_after_ms` if it is there; else look at `/v1/capabilities`, where the pools are.",
    "REPLICA_EXHAUSTED": "Send it again later under a new id.",
    "DECODE_TIMEOUT": "Send it again under a new id; tokens that came are not part of the new answer.",
    "WORKER_RESET": "Send it again under a new id; tokens that came are not part of the new answer.",
    "INTERNAL": "Give the correlation id to the operator; the log has the details.",
    "MISSING_TOKEN": "Send `Authorization: Bearer TOKEN`.",
    "BAD_TOKEN": "Send the right token.",
    "NON_LOOPBACK_WITHOUT_TOKEN": "For the operator: set a token, or bind to 127.0.0.1.",
    "NOT_FOUND": "Look at the id and the path. A finished task is forgotten after `history.ttl_ms`.",
}
"""Code -> the client's next move; every code of the specification has to be here."""
RESERVED = frozenset({"MODEL_DEPRECATED", "UNTRUSTED_ARTIFACT"})
"""Codes that are part of the contract and that no part of the service gives."""


def codes() -> str:
    """Return every code."""
    return table(
        ["code", "HTTP", "retriable", "in a stream", "when", "what to do"],
        (
            (
                _named(row),
                str(row.http or ""),
                _yes(is_so=row.retriable),
                _yes(is_so=row.in_stream),
                row.when + (" *(reserved: this version does not give it)*" if row.code in RESERVED else ""),
                ADVICE[row.code],
            )
            for row in specs.load().errors.values()
        ),
    )


def worker_errors() -> str:
    """Return what each kind of `WorkerError` becomes."""
    return table(
        ["an adapter raises", "clients see", "if it blames the request", "message"],
        (
            (
                code(row.kind),
                code(row.code),
                code(row.code_if_blamed) if row.code_if_blamed else "",
                "the engine's words, redacted and shortened" if row.words == "engine" else "a fixed sentence",
            )
            for row in specs.load().worker_errors.values()
        ),
    )


def engine_errors(engine: str) -> str:
    """Return the ways in which an engine fails and the code that a client sees for each."""
    spec = specs.load()
    return table(
        ["what happens", "clients see", "retriable"],
        ((_condition(row), code(_code_of(row, spec)), _yes(is_so=row.retriable)) for row in spec.engine_errors(engine)),
    )


def _condition(row: specs.EngineError) -> str:
    match row.phase:
        case specs.ErrorPhase.RESPONSE:
            return f"{row.condition} ({row.status})"
        case specs.ErrorPhase.STREAM:
            return f"{row.condition} (in the stream)"
        case specs.ErrorPhase.TRANSPORT:
            return row.condition


def _code_of(row: specs.EngineError, spec: specs.Specification) -> str:
    becomes = spec.worker_errors[row.kind]
    return becomes.code_if_blamed or becomes.code if row.blames_request else becomes.code


def _named(row: specs.ErrorCode) -> str:
    return f"{code(row.code)} ({row.number})" if row.number else code(row.code)


def _yes(*, is_so: bool) -> str:
    return "yes" if is_so else "no"
