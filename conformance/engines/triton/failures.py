"""How Triton says no: a code, a text, and what both protocols make of the code.

Triton knows few codes, and HTTP folds most of them into 400: a body has only a string, so 400 may be bad input or a
cancel. gRPC keeps them apart.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """The server's error codes: HTTP status, gRPC status."""

    UNKNOWN = (400, 2)
    INTERNAL = (500, 13)
    NOT_FOUND = (404, 5)
    INVALID_ARG = (400, 3)
    UNAVAILABLE = (503, 14)
    UNSUPPORTED = (501, 12)
    CANCELLED = (400, 1)
    TOO_LARGE = (400, 8)
    RESTRICTED = (403, 14)

    @property
    def http(self) -> int:
        """The status of an HTTP answer."""
        return self.value[0]

    @property
    def grpc(self) -> int:
        """The `grpc-status` of a call."""
        return self.value[1]


_OF_STATUS = {
    500: Code.INTERNAL,
    404: Code.NOT_FOUND,
    503: Code.UNAVAILABLE,
    501: Code.UNSUPPORTED,
    403: Code.RESTRICTED,
    413: Code.TOO_LARGE,
}
ENDS_CALL = "grpc-status"
"""The type of a script's `Fail` that ends a gRPC call, with all its requests, in place of one request of it."""


class Refused(Exception):
    """The server refuses, or a model fails; `status` overrides the HTTP status of the code.

    With `ends_call` it is the status of a whole gRPC call.
    """

    def __init__(
        self, message: str, code: Code = Code.INVALID_ARG, *, status: int | None = None, ends_call: bool = False
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.ends_call = message, code, ends_call
        self.status = code.http if status is None else status

    @classmethod
    def of_status(cls, status: int, message: str, kind: str = "") -> Refused:
        """Return the failure that HTTP shows with this status; `kind` may be `ENDS_CALL`."""
        return cls(message, _OF_STATUS.get(status, Code.INVALID_ARG), status=status, ends_call=kind == ENDS_CALL)
