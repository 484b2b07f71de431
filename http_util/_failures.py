"""What a failure of the transport means in the service's vocabulary: one table.

Rows are tried from the top, so a subclass stands above its base. Texts are fixed; the only foreign words that get in
are the operating system's and OpenSSL's own, which hold no credentials.

Implements: HTU-1006.
"""

from __future__ import annotations

import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import msgspec

from adapter_api import AdapterError, DecodeTimeout, InternalError, PoolUnavailable, WorkerError, WorkerReset

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_THE_PROTOCOL = (msgspec.MsgspecError, ValueError, RecursionError)
"""What a parser raises for bytes that are something else; the last one where they nest deeper than it goes."""


class MalformedResponse(httpx.RemoteProtocolError):
    """The bytes that came are not HTTP/1.1; a response that is only cut short is the base class."""


class NotPermitted(httpx.ConnectError):
    """The egress policy denies the host; nothing was sent, nor was its name looked up."""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One kind of failure, the error it becomes, and the words for it."""

    failure: type[httpx.RequestError]
    error: type[WorkerError]
    words: str


FAILURES = (
    FailureRow(MalformedResponse, AdapterError, "the answer is not HTTP/1.1"),
    FailureRow(httpx.ConnectTimeout, PoolUnavailable, "no connection in time"),
    FailureRow(httpx.PoolTimeout, PoolUnavailable, "every connection is in use"),
    FailureRow(NotPermitted, AdapterError, "the egress policy does not allow this host"),
    FailureRow(httpx.ConnectError, PoolUnavailable, "cannot connect"),
    FailureRow(httpx.ProxyError, PoolUnavailable, "the proxy does not let us through"),
    FailureRow(httpx.ReadTimeout, DecodeTimeout, "the engine is silent"),
    FailureRow(httpx.RemoteProtocolError, WorkerReset, "the engine closed the connection before its answer was whole"),
    FailureRow(httpx.WriteTimeout, WorkerReset, "the engine does not read the request"),
    FailureRow(httpx.NetworkError, WorkerReset, "the connection broke"),
    FailureRow(httpx.LocalProtocolError, AdapterError, "the request cannot be written as HTTP"),
    FailureRow(httpx.UnsupportedProtocol, AdapterError, "the address is not an http or https one"),
    FailureRow(httpx.DecodingError, AdapterError, "the body cannot be decoded"),
    FailureRow(httpx.RequestError, InternalError, "the call failed"),
)


def worker_error(failure: httpx.RequestError, phase: str) -> WorkerError:
    """Return what `failure` means for whoever called the engine in `phase`."""
    row = next(row for row in FAILURES if isinstance(failure, row.failure))
    cause = next(_causes(failure), "")
    return row.error(f"{phase}: {row.words}{f' ({cause})' if cause else ''}")


def _causes(failure: BaseException | None) -> Iterator[str]:
    while failure is not None:
        match failure:
            case ssl.SSLCertVerificationError():
                yield failure.verify_message
            case socket.gaierror():
                yield str(failure.strerror)
            case OSError(errno=int() as number):  # not `strerror`: Trio puts the address into it
                yield os.strerror(number)
            case _:
                pass
        # A group: several addresses of one host were tried.
        failure = failure.exceptions[0] if isinstance(failure, BaseExceptionGroup) else failure.__cause__
