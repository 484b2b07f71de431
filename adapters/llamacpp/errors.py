"""What llama.cpp's refusals mean, where the common rules would not say it.

The server sends `{"error": {"code", "message", "type"}}`, on the status line while nothing has been sent and in the
stream after that. Its `invalid_request_error` covers the caller's mistakes and ours, so words decide between them.

Implements: HTU-1006, ADAPT-3002.
"""

from __future__ import annotations

from adapter_api import AdapterError, PoolUnavailable
from http_util.status import ErrorRule

RULES = (
    # The prompt does not fit into a slot.
    ErrorRule(error=AdapterError, types=frozenset({"exceed_context_size_error"}), blames_request=True),
    # An input to embed is longer than the server's batch: said with status 500, and no other try would help.
    ErrorRule(error=AdapterError, words="is too large to process", blames_request=True),
    # We, or something between, damaged the JSON; older builds say it with status 500.
    ErrorRule(error=AdapterError, words="json.exception.parse_error", statuses=frozenset({400, 500})),
    # A server that routes to several models: this one is not up yet, or is not known.
    ErrorRule(error=PoolUnavailable, words="model is not loaded", statuses=frozenset({400})),
    ErrorRule(error=AdapterError, words="model '", statuses=frozenset({400})),
)
