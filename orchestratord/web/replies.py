"""JSON replies, and the reply that carries an error.

Implements: OC-CTRL-2011, OC-CTRL-2030, OC-CTRL-2031.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from quart import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter_api import JsonValue
    from orchestratord.errors import ErrorEnvelope

DEFAULT_WAIT_MS = 1000
_QUOTING = frozenset({"message", "engine"})
"""The fields that repeat what a client or an engine said."""


def json_response(data: Mapping[str, JsonValue], status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(data), status=status, content_type="application/json")


def error_response(envelope: ErrorEnvelope, redact: Callable[[str], str]) -> Response:
    """Return the envelope under its status, with the headers that belong to it."""
    said = {name: redact(value) for name, value in envelope.data.items() if name in _QUOTING and isinstance(value, str)}
    response = json_response({**envelope.data, **said}, envelope.status)
    wait_ms = envelope.retry_after_ms or DEFAULT_WAIT_MS
    match envelope.status:
        case 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        case 429:
            response.headers["Retry-After"] = _whole_seconds(wait_ms)
            response.headers["X-Backoff-Ms"] = str(wait_ms)
            response.headers["X-Backoff-Policy"] = envelope.policy_label or "wait"
        case 503:
            response.headers["Retry-After"] = _whole_seconds(wait_ms)
        case _:
            pass
    return response


def _whole_seconds(wait_ms: int) -> str:
    return str(max(1, -(-wait_ms // 1000)))
