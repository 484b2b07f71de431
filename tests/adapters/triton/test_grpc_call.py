"""One call on one connection, without a network."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, PoolUnavailable, WorkerError, WorkerReset
from adapters.triton.grpc_call import Broken, Call, CallHead, Refusal, Status
from adapters.triton.grpc_frames import framed
from adapters.triton.grpc_status import error_of
from adapters.triton.grpc_transport import timeout
from http_util.status import EngineReply, classify
from tests.adapters.rig import SECRET
from tests.adapters.triton.peer import OK_HEAD, Http2Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.req("OC-ADAPT-5060")

HEAD = CallHead(authority="engine:8001", path="/inference.X/Y", metadata={"x-correlation-id": "c-1"})


def opened(message: bytes = b"request") -> tuple[Call, Http2Peer]:
    """Return a call whose request the peer has."""
    call, peer = Call(HEAD, message), Http2Peer()
    exchange(call, peer)
    return call, peer


def exchange(call: Call, peer: Http2Peer) -> None:
    """Carry bytes to and fro until neither side has any."""
    while True:
        there = call.to_send()
        if there:
            peer.take(there)
        back = peer.wire()
        if back:
            call.receive(back)
        if not there and not back:
            return


def failure(reply: EngineReply) -> WorkerError:
    return classify(reply, redact=str, now=0)


def test_a_request_is_one_message_and_our_end() -> None:
    _, peer = opened()
    assert bytes(peer.request) == framed(b"request")
    assert peer.has_whole_request
    assert peer.headers == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/inference.X/Y",
        ":authority": "engine:8001",
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "orchestratord",
        "x-correlation-id": "c-1",
    }


@pytest.mark.req("HTU-1004")
def test_what_a_caller_adds_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="hpack"):
        Call(CallHead(authority="engine:8001", path="/x/Y", metadata={"triton-grpc-protocol-key": SECRET}), b"")
    assert caplog.records
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(1.5, "1500m"), (-3, "1m"), (99_999.999, "99999999m"), (100_000, "100000S"), (1e12, "99999999S")],
)
def test_a_time_has_at_most_eight_digits(seconds: float, header: str) -> None:
    assert timeout(seconds) == header


@given(size=st.integers(0, 300_000))
def test_a_long_request_goes_as_the_server_allows(size: int) -> None:
    _, peer = opened(bytes(size))
    assert bytes(peer.request) == framed(bytes(size))
    assert peer.has_whole_request


def test_no_more_is_sent_than_the_server_allows() -> None:
    call, peer = Call(HEAD, bytes(200_000)), Http2Peer()
    while there := call.to_send():
        peer.take(there, acknowledge=False)
        if back := peer.wire():
            call.receive(back)
    assert len(peer.request) == 65_535
    assert not peer.has_whole_request


@given(messages=st.lists(st.binary(max_size=50), max_size=5), cut=st.integers(1, 50))
def test_an_answer_comes_whole_in_any_pieces(messages: list[bytes], cut: int) -> None:
    call, peer = opened()
    peer.head()
    for message in messages:
        peer.message(message)
    peer.end()
    wire = peer.wire()
    for start in range(0, len(wire), cut):
        call.receive(wire[start : start + cut])
    assert b"".join(call.pieces) == b"".join(map(framed, messages))
    assert call.outcome == Status(0)
    assert call.has_head


def test_what_came_is_acknowledged() -> None:
    call, peer = opened()
    peer.head()
    for _ in range(40):
        exchange(call, peer)
        peer.message(bytes(8000))
    exchange(call, peer)
    assert len(b"".join(call.pieces)) == 40 * 8005


@pytest.mark.parametrize(
    ("trailers", "outcome"),
    [
        ([("grpc-status", "14"), ("grpc-message", "Server%20exiting %E2%9C%93")], Status(14, "Server exiting ✓")),
        ([("grpc-status", "not a number")], Status(2)),
        ([("x-other", "1")], Broken(WorkerReset, "the call ended without its status")),
    ],
)
def test_the_status_is_in_the_trailers(trailers: Sequence[tuple[str, str]], outcome: Status | Broken) -> None:
    call, peer = opened()
    peer.head()
    peer.end(trailers)
    exchange(call, peer)
    assert call.outcome == outcome


def test_an_answer_may_have_nothing_but_an_end() -> None:
    call, peer = opened()
    peer.head([*OK_HEAD, ("grpc-status", "5"), ("grpc-message", "no")], end=True)
    exchange(call, peer)
    assert call.outcome == Status(5, "no")


def test_something_else_than_grpc_is_kept_up_to_a_bound() -> None:
    call, peer = opened()
    peer.head([(":status", "502"), ("content-type", "text/html")])
    peer.h2.send_data(1, b"<html>Bad Gateway</html>", end_stream=True)
    exchange(call, peer)
    assert isinstance(call.outcome, Refusal)
    assert (call.outcome.status, call.outcome.body) == (502, b"<html>Bad Gateway</html>")
    assert not call.has_head


def test_a_refusal_without_an_end_is_long_enough_at_some_point() -> None:
    call, peer = opened()
    peer.head([(":status", "200"), ("content-type", "text/html")])
    for _ in range(5):
        exchange(call, peer)
        peer.h2.send_data(1, bytes(16_000))
    exchange(call, peer)
    assert isinstance(call.outcome, Refusal)
    assert len(call.outcome.body) == 65_536


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (ErrorCodes.REFUSED_STREAM, PoolUnavailable),
        (ErrorCodes.ENHANCE_YOUR_CALM, PoolUnavailable),
        (ErrorCodes.CANCEL, WorkerReset),
        (ErrorCodes.INTERNAL_ERROR, WorkerReset),
    ],
)
def test_a_reset_call(code: ErrorCodes, error: type[WorkerError]) -> None:
    call, peer = opened()
    peer.head()
    peer.h2.reset_stream(1, code)
    exchange(call, peer)
    assert isinstance(call.outcome, Broken)
    assert call.outcome.error is error


def test_a_reset_after_the_end_changes_nothing() -> None:
    call, peer = opened()
    peer.head([*OK_HEAD, ("grpc-status", "3")])
    peer.h2.reset_stream(1, ErrorCodes.NO_ERROR)
    exchange(call, peer)
    assert call.outcome == Status(3)


def test_a_farewell_does_not_end_a_call_that_was_taken() -> None:
    call, peer = opened()
    peer.head()
    exchange(call, peer)
    call.receive(GoAwayFrame(0, last_stream_id=1).serialize())
    peer.message(b"last words")
    peer.end()
    exchange(call, peer)
    assert b"".join(call.pieces) == framed(b"last words")
    assert call.outcome == Status(0)


def test_a_farewell_before_the_call_was_taken_means_elsewhere() -> None:
    call, _ = opened()
    call.receive(GoAwayFrame(0, last_stream_id=0).serialize())
    assert isinstance(call.outcome, Broken)
    assert call.outcome.error is PoolUnavailable


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\1\7\0\0\0\0\0x", b"\0\0\0\0\0\0\0\0\1"])
def test_something_that_is_not_http2(data: bytes) -> None:
    call = Call(HEAD, b"request")
    call.receive(data)
    assert call.outcome is None or isinstance(call.outcome, Broken)
    call.receive(b"")
    assert isinstance(call.outcome, Broken)


@given(pieces=st.lists(st.binary(max_size=40), max_size=8), spoil=st.integers(0, 200), bit=st.integers(0, 7))
def test_damaged_bytes_never_raise(pieces: list[bytes], spoil: int, bit: int) -> None:
    call, peer = opened()
    peer.head()
    for piece in pieces:
        peer.message(piece)
    peer.end()
    wire = bytearray(peer.wire())
    wire[spoil % len(wire)] ^= 1 << bit
    call.receive(bytes(wire))
    call.receive(b"")
    assert call.outcome is not None


@pytest.mark.parametrize(
    ("outcome", "in_stream", "kind", "message", "retriable"),
    [
        (Status(14, "Server exiting"), False, "PoolUnavailable", "gRPC UNAVAILABLE: Server exiting", True),
        (Status(3, "bad shape"), False, "Adapter", "gRPC INVALID_ARGUMENT: bad shape", False),
        (Status(13, "boom"), False, "Internal", "gRPC INTERNAL: boom", False),
        (Status(13, "boom"), True, "WorkerReset", "gRPC INTERNAL: boom", True),
        (Status(1, "gone"), True, "WorkerReset", "gRPC CANCELLED: gone", True),
        (Status(4, ""), False, "DeadlineUnmet", "gRPC DEADLINE_EXCEEDED", False),
        (Status(12, ""), False, "Adapter", "gRPC UNIMPLEMENTED: no reason given", False),
        (Status(99, "odd"), False, "Internal", "gRPC code 99: odd", False),
        (Broken(WorkerReset, "it broke"), False, "WorkerReset", "it broke", True),
        (Refusal(502, {}, b"<html>"), False, "PoolUnavailable", "HTTP 502: an HTML page instead of an answer", True),
    ],
)
def test_what_an_end_means(
    outcome: Status | Broken | Refusal, in_stream: bool, kind: str, message: str, retriable: bool
) -> None:
    error = error_of(outcome, "completion", failure, in_stream=in_stream)
    assert error is not None
    assert (error.kind, error.message, error.retriable) == (kind, f"completion: {message}", retriable)


def test_a_good_end_is_no_error() -> None:
    assert error_of(Status(0), "completion", failure, in_stream=True) is None


def test_a_bad_answer_is_our_engines_fault_and_not_the_callers() -> None:
    error = error_of(Broken(AdapterError, "the answer is not HTTP/2"), "completion", failure, in_stream=False)
    assert isinstance(error, AdapterError)
    assert not error.blames_request
