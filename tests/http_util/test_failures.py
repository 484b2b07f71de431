"""The table of transport failures."""

from __future__ import annotations

import inspect
import socket

import httpx
import pytest

from adapter_api import AdapterError, DecodeTimeout, InternalError, PoolUnavailable, WorkerError, WorkerReset
from http_util._failures import FAILURES, MalformedResponse, worker_error

pytestmark = pytest.mark.req("HTU-1006", "ADAPT-3002")

REQUEST_ERRORS = [
    error
    for _, error in inspect.getmembers(httpx, inspect.isclass)
    if issubclass(error, httpx.RequestError)
]  # fmt: skip


@pytest.mark.parametrize("failure", REQUEST_ERRORS)
def test_every_failure_of_httpx_is_in_the_table(failure: type[httpx.RequestError]) -> None:
    error = worker_error(failure("canary"), "health")

    assert error.message.startswith("health: ")
    assert "canary" not in error.message


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ConnectError, PoolUnavailable),
        (httpx.ConnectTimeout, PoolUnavailable),
        (httpx.PoolTimeout, PoolUnavailable),
        (httpx.ReadTimeout, DecodeTimeout),
        (httpx.ReadError, WorkerReset),
        (httpx.WriteError, WorkerReset),
        (httpx.RemoteProtocolError, WorkerReset),
        (MalformedResponse, AdapterError),
        (httpx.UnsupportedProtocol, AdapterError),
        (httpx.RequestError, InternalError),
    ],
)
def test_kinds(failure: type[httpx.RequestError], kind: type[WorkerError]) -> None:
    error = worker_error(failure("words"), "completion")

    assert type(error) is kind
    assert error.retriable is kind.retriable_by_default


def test_no_row_is_hidden_by_one_above_it() -> None:
    rows = [row.failure for row in FAILURES]
    for n, failure in enumerate(rows):
        assert not any(issubclass(failure, above) for above in rows[:n]), failure


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "text of its own"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (OSError("no number"), None),
        (ExceptionGroup("attempts", [TimeoutError(110, "x"), OSError(101, "y")]), "Connection timed out"),
    ],
)
def test_the_system_says_why(cause: Exception, words: str | None) -> None:
    failure = httpx.ConnectError("canary")
    failure.__cause__ = OSError("all attempts to connect to canary failed")
    failure.__cause__.__cause__ = cause

    why = f" ({words})" if words else ""
    assert worker_error(failure, "health").message == f"health: cannot connect{why}"
