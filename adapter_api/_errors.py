"""The errors that may leave an adapter, and nothing else may.

    WorkerError                 kind on the wire    whose move is it
    +- DeadlineUnmet            DeadlineUnmet       the caller's: the time it gave is over
    +- PoolUnavailable          PoolUnavailable     nobody's: no slot can take the work now
    +- DecodeTimeout            DecodeTimeout       the engine's: admitted, then silent
    +- WorkerReset              WorkerReset         the engine's: it went away under the request
    +- AdapterError             Adapter             the request is wrong, or the reply is not the protocol
    +- InternalError            Internal            unknown

Implements: ADAPT-3002, AH-1005.
"""

from typing import ClassVar


class WorkerError(Exception):
    """A failed call to an engine, in the service's own vocabulary.

    `message` is for people: it names the phase and the upstream status, is redacted before it gets here and holds at
    most a few hundred characters. `retriable` says that the same request may be tried elsewhere or later if no token
    was delivered. `retry_after_ms` is the engine's own advice where it gave one. `upstream_status` is the engine's HTTP
    status where there was one.
    """

    kind: ClassVar[str] = "Internal"
    retriable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        retriable: bool | None = None,
        retry_after_ms: int | None = None,
        upstream_status: int | None = None,
        blames_request: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retriable = self.retriable_by_default if retriable is None else retriable
        self.retry_after_ms = retry_after_ms
        self.upstream_status = upstream_status
        self.blames_request = blames_request

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.message!r}, retriable={self.retriable}, retry_after_ms={self.retry_after_ms})"
        )


class DeadlineUnmet(WorkerError):
    """The request's own deadline passed, or the engine gave up waiting for a slot."""

    kind = "DeadlineUnmet"


class PoolUnavailable(WorkerError):
    """No worker can take the request now: refused, loading, overloaded, rate limited."""

    kind = "PoolUnavailable"
    retriable_by_default = True


class DecodeTimeout(WorkerError):
    """The engine took the request and then no token came for the configured gap."""

    kind = "DecodeTimeout"
    retriable_by_default = True


class WorkerReset(WorkerError):
    """The engine, its connection or its batch died under the request, or its stream ended without an end marker."""

    kind = "WorkerReset"
    retriable_by_default = True


class AdapterError(WorkerError):
    """The engine refuses the request, or answers something that is not its protocol.

    `blames_request` is true where the engine finds fault with what the caller asked (context too long, bad parameter):
    the service then answers `INVALID_PARAMS` instead of `INTERNAL`.
    """

    kind = "Adapter"


class InternalError(WorkerError):
    """The engine, or the adapter, failed for a reason nobody can name."""

    kind = "Internal"


ERROR_KINDS: dict[str, type[WorkerError]] = {
    error.kind: error
    for error in (DeadlineUnmet, PoolUnavailable, DecodeTimeout, WorkerReset, AdapterError, InternalError)
}
"""Wire kind -> class, the whole taxonomy (ADAPT-3002)."""
