"""What vLLM's refusals mean, where the common rules would not say it.

The server gives most failures the status 500 and the type `InternalServerError`, and older ones a 400 for whatever
happens in a stream, so words decide.

Implements: OC-ADAPT-5020, HTU-1006.
"""

from __future__ import annotations

from adapter_api import AdapterError, InternalError, WorkerReset
from http_util.status import ErrorRule

_DEAD = (
    "enginecore encountered an issue",
    "enginedeaderror",
    "background loop has errored",
    "background loop is stopped",
)
_UNFIT = ("context length", "validation error", "must be at least", "must be at most", "must be non-negative")

RULES = (
    # The process behind the server died, or dies now; the server itself follows it.
    *(ErrorRule(error=WorkerReset, words=words) for words in _DEAD),
    # In a stream, an older server's 400 is a bad request only if its words are those of one.
    *(ErrorRule(error=AdapterError, words=words, in_stream=True, blames_request=True) for words in _UNFIT),
    ErrorRule(error=WorkerReset, statuses=frozenset({400}), in_stream=True),
    # The engine ended the request with an error of its own and lives on.
    ErrorRule(error=InternalError, words="internal server error", in_stream=True),
)
