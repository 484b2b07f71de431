"""What the end of a gRPC call means, through the same rules as an HTTP answer.

Pure. Triton's codes and its HTTP statuses say the same things, so a code is put into the status that the HTTP side
would have sent, and the common classification does the rest: words before numbers, the engine's rules first. A call
that breaks off with tokens delivered is an error inside a stream. The message names the code, not the status.

Implements: OC-ADAPT-5060, HTU-1006.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, assert_never

from adapter_api import DeadlineUnmet
from http_util.status import EngineReply

from .errors import relabeled
from .grpc_call import Broken, Outcome, Refusal, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter_api import WorkerError

_CODES = {
    1: ("CANCELLED", 424),
    2: ("UNKNOWN", 500),
    3: ("INVALID_ARGUMENT", 400),
    4: ("DEADLINE_EXCEEDED", 504),
    5: ("NOT_FOUND", 404),
    6: ("ALREADY_EXISTS", 400),
    7: ("PERMISSION_DENIED", 403),
    8: ("RESOURCE_EXHAUSTED", 429),
    9: ("FAILED_PRECONDITION", 400),
    10: ("ABORTED", 424),
    11: ("OUT_OF_RANGE", 400),
    12: ("UNIMPLEMENTED", 501),
    13: ("INTERNAL", 500),
    14: ("UNAVAILABLE", 503),
    15: ("DATA_LOSS", 424),
    16: ("UNAUTHENTICATED", 401),
}
"""Code -> its name, and the status that means the same."""


def error_of(
    outcome: Outcome, phase: str, failure: Callable[[EngineReply], WorkerError], *, in_stream: bool
) -> WorkerError | None:
    """Return the error that `outcome` means, None for a success; `failure` classifies an HTTP answer."""
    match outcome:
        case Status(code=0):
            return None
        case Status():
            return _of_status(outcome, phase, failure, in_stream=in_stream)
        case Refusal():
            return failure(EngineReply(outcome.status, outcome.headers, outcome.body, phase))
        case Broken():
            return outcome.error(f"{phase}: {outcome.words}")
        case _:
            assert_never(outcome)


def _of_status(
    outcome: Status, phase: str, failure: Callable[[EngineReply], WorkerError], *, in_stream: bool
) -> WorkerError:
    name, status = _CODES.get(outcome.code, (f"code {outcome.code}", 500))
    if outcome.code == 4:  # the time that we gave with the call
        return DeadlineUnmet(f"{phase}: gRPC {name}")
    complaint = {"error": {"message": outcome.message, "code": status}}
    error = failure(EngineReply(200 if in_stream else status, {}, json.dumps(complaint).encode(), phase))
    return named(error, phase, name)


def named(error: WorkerError, phase: str, name: str) -> WorkerError:
    """Return `error` with the gRPC code in the place of the HTTP status that it never had."""
    return relabeled(error, phase, f"gRPC {name}", None)
