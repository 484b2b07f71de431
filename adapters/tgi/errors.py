"""What TGI's refusals mean, where the common rules would not say it.

The native routes send `{"error": "...", "error_type": "..."}`, with a status before the stream and inside a 200 after
that, so the type decides. The OpenAI routes give every error in a stream the code 422 and no type: there the words do,
which are the router's own and fixed.

Implements: HTU-1006, ADAPT-3002, OC-ADAPT-5040c.
"""

from __future__ import annotations

from adapter_api import AdapterError, InternalError, PoolUnavailable, WorkerReset
from http_util.status import ErrorRule

RULES = (
    ErrorRule(error=PoolUnavailable, types=frozenset({"overloaded", "healthcheck"})),
    # The batch failed, or the shard under it; `incomplete…`: the shard stopped before the end of the text.
    ErrorRule(
        error=WorkerReset,
        types=frozenset({"generation", "incomplete_generation", "incomplete_generation_stream"}),
    ),
    ErrorRule(
        error=AdapterError,
        types=frozenset({"validation", "template_error", "missing_template_variable", "tool_error"}),
        blames_request=True,
    ),
    ErrorRule(error=InternalError, types=frozenset({"stream_serialization_error"})),
    # The same conditions inside a stream of the OpenAI routes.
    ErrorRule(error=PoolUnavailable, words="model is overloaded"),
    ErrorRule(error=WorkerReset, words="request failed during generation"),
    ErrorRule(error=WorkerReset, words="incomplete generation"),
    # Plain text from the layer before the router: the JSON or its content type is damaged, which is not the caller's.
    ErrorRule(error=AdapterError, statuses=frozenset({400, 415}), is_opaque=True),
)
