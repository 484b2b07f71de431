"""What Triton's refusals mean, where the common rules would not say it.

The server has one shape, `{"error": "text"}`, and few statuses: 400 is a bad request, a cancelled one, and a Python
model that raised. So words decide nearly everything, and the more special ones stand first.

Implements: HTU-1006, ADAPT-3002, OC-ADAPT-5060.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from adapter_api import AdapterError, DeadlineUnmet, InternalError, PoolUnavailable, WorkerReset
from http_util.status import ErrorRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter_api import WorkerError
    from http_util.status import EngineReply

_EVENTS = "text/event-stream"

_TOO_LONG = (
    "exceeds maximum input length",
    "exceeds the maximum input length",
    "prompt length (",
    "received message larger than max",  # over gRPC with the code of an engine that has no room
)
_BAD_VALUE = ("must be a single value", "is required", "has no attribute 'lora_name'", "cannot process new request")
_BAD_SHAPE = ("unexpected shape for input", "unexpected inference input", "unable to parse", "but got", "invalid type")
_NOT_OURS = (
    "generate expects model to produce exactly 1 response",
    "streaming is only supported in decoupled mode",
    "doesn't support models with decoupled transaction policy",
    "a request id must be provided",
    "request for unknown model",
    "unexpected inference output",
    "is restricted, expecting header",  # over gRPC with the code of an engine that is away
)
_AWAY = (
    "has no available versions",
    "is not at ready state",
    "model version not ready",
    "exceeds maximum queue size",
    "server exiting",
    "server not ready",
    "server is stopping",
)
_CUT = ("request cancelled by client", "request was cancelled", "stub process", "error generating stream")

RULES = (
    *(ErrorRule(error=PoolUnavailable, words=words) for words in _AWAY),
    *(ErrorRule(error=AdapterError, words=words, blames_request=True) for words in (*_TOO_LONG, *_BAD_VALUE)),
    *(ErrorRule(error=AdapterError, words=words) for words in _NOT_OURS),
    # A policy of the server's queue: the request never ran.
    ErrorRule(error=DeadlineUnmet, words="request timeout expired", retriable=True),
    # The engine behind the vLLM backend is gone: what it was doing died with it.
    ErrorRule(error=WorkerReset, words="unhealthy vllm engine", in_stream=True),
    ErrorRule(error=PoolUnavailable, words="unhealthy vllm engine", in_stream=False),
    *(ErrorRule(error=WorkerReset, words=words) for words in _CUT),
    # A Python model that raised, whatever the status that the server chose for it.
    ErrorRule(error=InternalError, words="traceback (most recent call last)"),
    ErrorRule(error=InternalError, words="failed to process the request(s)"),
    # Said over gRPC without a status.
    *(ErrorRule(error=AdapterError, words=words, blames_request=True) for words in _BAD_SHAPE),
)


def refusal(reply: EngineReply, failure: Callable[[EngineReply], WorkerError]) -> WorkerError:
    """Return what an error status of `generate_stream` means; `failure` classifies.

    An error that came as an event is the model's own answer. Servers give it the status of a bad request (seen with
    2.51), which says nothing about the request then.
    """
    if reply.status != HTTPStatus.BAD_REQUEST or _EVENTS not in reply.headers.get("content-type", ""):
        return failure(reply)
    error = failure(replace(reply, status=HTTPStatus.INTERNAL_SERVER_ERROR))
    return relabeled(error, reply.phase, f"HTTP {reply.status}", reply.status)


def relabeled(error: WorkerError, phase: str, label: str, status: int | None) -> WorkerError:
    """Return the same error that names something else as the engine's status."""
    _, _, words = error.message.removeprefix(f"{phase}: ").partition(": ")
    return type(error)(
        f"{phase}: {label}: {words}",
        retriable=error.retriable,
        retry_after_ms=error.retry_after_ms,
        upstream_status=status,
        blames_request=error.blames_request,
    )
