"""The bodies and headers of OpenAI's answers: errors in every form, rate limits, advice to come back, models.

Pure, but for the date: advice as a date needs one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

from conformance.engines.made_up import name
from conformance.engines.openai_wire import CREATED, JSON, dump
from conformance.engines.script import Fail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter_api import JsonValue

    from .settings import OpenAiSettings, Quirks

TYPES: Mapping[str, str] = {
    "rate_limit_exceeded": "requests",
    "slow_down": "requests",
    "insufficient_quota": "insufficient_quota",
    "credit_balance_exhausted": "billing",
    "server_is_overloaded": "server_error",
    "context_length_exceeded": "invalid_request_error",
    "model_not_found": "invalid_request_error",
    "invalid_api_key": "invalid_request_error",
    "unknown_parameter": "invalid_request_error",
    "invalid_type": "invalid_request_error",
    "invalid_value": "invalid_request_error",
    "method_not_supported": "invalid_request_error",
    "invalid_prompt": "invalid_request_error",
}
"""Error code -> type of the error. What a script's `Fail` calls its type is the code, if it is one of these."""

RATE_LIMITED = Fail(429, "rate_limit_exceeded", "Rate limit reached for requests. Please try again later.")
_ADVISED = frozenset({408, 429, 500, 503, 529})


@dataclass(frozen=True, slots=True)
class Limit:
    """What a client may still do in this minute."""

    limit: int
    remaining: int
    reset_s: float


def error_of(failure: Fail, quirks: Quirks, param: str | None = None) -> JsonValue:
    """Return a failure as JSON, in the form of this server."""
    if quirks.error == "string":
        return {"error": failure.message}
    if quirks.error == "detail":
        return {"detail": failure.message}
    known = TYPES.get(failure.type)
    code: JsonValue = failure.type if known else None
    code = failure.status if quirks.error == "number" else code
    error: dict[str, JsonValue] = {
        "message": failure.message,
        "type": known or failure.type,
        "param": param,
        "code": code,
    }
    return {"error": error}


def refusal(failure: Fail, quirks: Quirks, param: str | None = None) -> tuple[bytes, str]:
    """Return body and content type of an HTTP error."""
    if quirks.error == "html":
        return b"<html><body><h1>Bad gateway</h1></body></html>", "text/html"
    if quirks.error == "empty":
        return b"", ""
    return dump(error_of(failure, quirks, param)), JSON


def headers(number: int, limit: Limit) -> Iterable[tuple[str, str]]:
    """Return the headers of every answer."""
    yield "x-request-id", name("req_", number, 32)
    yield "openai-version", "2020-10-01"
    yield "openai-processing-ms", "12"
    yield "x-ratelimit-limit-requests", str(limit.limit)
    yield "x-ratelimit-remaining-requests", str(limit.remaining)
    yield "x-ratelimit-reset-requests", _duration(limit.reset_s)


def advice(failure: Fail, settings: OpenAiSettings) -> Iterable[tuple[str, str]]:
    """Return the headers that say when to come back, and whether."""
    seconds = settings.retry_after_s
    if failure.status in _ADVISED:
        match settings.retry_after:
            case "seconds":
                yield "retry-after", f"{seconds:g}"
            case "ms":
                yield "retry-after-ms", str(round(seconds * 1000))
            case "date":
                then = datetime.now(UTC) + timedelta(seconds=seconds)
                yield "retry-after", format_datetime(then, usegmt=True)
            case "none":
                pass
    if settings.should_retry:
        yield "x-should-retry", settings.should_retry


def _duration(seconds: float) -> str:
    """Return a time in the form of the Go language: `6m0s`, `1.5s`, `12ms`."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{round(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"


def model(model_id: str) -> dict[str, JsonValue]:
    """Return one entry of `/v1/models`."""
    return {"id": model_id, "object": "model", "created": CREATED, "owned_by": "system"}


def models(model_ids: Iterable[str]) -> bytes:
    """Return the body of `/v1/models`."""
    return dump({"object": "list", "data": [model(each) for each in model_ids]})


def embeddings(model_id: str, data: list[JsonValue], tokens: int) -> bytes:
    """Return the body of `/v1/embeddings`."""
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return dump({"object": "list", "data": data, "model": model_id, "usage": usage})
