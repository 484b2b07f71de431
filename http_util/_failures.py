"""What a failure of the transport means in the service's vocabulary: one table.

Rows are tried from the top, so a subclass stands above its base. Texts are fixed; the only foreign words that get in
are the operating system's and OpenSSL's own, which hold no credentials.

An error is raised outside of the `except` block that it is made in: the exceptions of the network, which may quote an
address with a password in it, are then neither its cause nor its context, and no traceback shows them. What kinds of
exceptions they were stays as a note.

Implements: HTU-1006.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import msgspec

from adapter_api import AdapterError, DecodeTimeout, InternalError, PoolUnavailable, WorkerError, WorkerReset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    chain = tuple(_chain(failure))
    cause = next(_words(chain), "")
    error = row.error(f"{phase}: {row.words}{f' ({cause})' if cause else ''}")
    error.add_note(f"made of {' from '.join(map(_kind, chain))}")
    return error


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes; of a group, where several addresses of a host were tried, the first."""
    while failure is not None:
        yield failure
        failure = failure.exceptions[0] if isinstance(failure, BaseExceptionGroup) else failure.__cause__


def _kind(failure: BaseException) -> str:
    """Return the name of an exception's class, with the name of its number if it has one, and none of its text."""
    name = type(failure).__qualname__
    number = errno.errorcode.get(failure.errno or 0) if isinstance(failure, OSError) else None
    return name if number is None else f"{name} ({number})"


def _words(chain: Iterable[BaseException]) -> Iterator[str]:
    for failure in chain:
        match failure:
            case ssl.SSLCertVerificationError():
                yield failure.verify_message
            case socket.gaierror():
                yield str(failure.strerror)
            case OSError(errno=int() as number):  # not `strerror`: Trio puts the address into it
                yield os.strerror(number)
            case _:
                pass
