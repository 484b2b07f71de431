"""What the refusals of OpenAI's interface mean, where the common rules would not say it.

One status has several meanings, a 429 three of them, so the code decides before the status does. In a stream there is
no other status than 200.

Implements: OC-ADAPT-OAI-6008, OC-ADAPT-OAI-6022, HTU-1006.
"""

from __future__ import annotations

from adapter_api import AdapterError, InternalError, PoolUnavailable
from http_util.openai_api.responses import FAILED
from http_util.status import ErrorRule

UNPAID = frozenset({
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
})
BUSY = frozenset({"rate_limit_exceeded", "slow_down", "server_is_overloaded"})
UNFIT = frozenset({"context_length_exceeded", "invalid_prompt"})

RULES = (
    # Time does not heal these, though their status says "come back".
    ErrorRule(error=AdapterError, types=UNPAID),
    # Its type is that of a bad request, and it is about our key.
    ErrorRule(error=AdapterError, types=frozenset({"invalid_api_key"})),
    ErrorRule(error=PoolUnavailable, types=BUSY),
    ErrorRule(error=AdapterError, types=UNFIT, blames_request=True),
    # The Responses API gives an answer up: the server's own failure, whatever it calls it.
    ErrorRule(error=InternalError, types=frozenset({FAILED}), retriable=True),
    ErrorRule(error=AdapterError, types=frozenset({"invalid_request_error"}), in_stream=True, blames_request=True),
    ErrorRule(error=InternalError, statuses=frozenset({500}), in_stream=False, retriable=True),
)
