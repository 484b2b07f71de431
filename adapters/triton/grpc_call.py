"""One gRPC call on an HTTP/2 connection of its own: bytes in, bytes out, and how it ended.

Pure; h2 keeps the connection's state. The request is one message and the end of our side right after it, so that the
server ends the call after its last response, and the end is its `grpc-status`. What arrives is acknowledged at once:
nobody reads from the network before the reader of the call asks for more, so TCP holds back a server that is too fast.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final
from urllib.parse import unquote_to_bytes

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import H2Error
from hpack import NeverIndexedHeaderTuple

from adapter_api import AdapterError, PoolUnavailable, WorkerError, WorkerReset

from .grpc_frames import Farewells, framed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from h2.events import Event
    from hpack.struct import HeaderWeaklyTyped

REFUSAL_BYTES = 65_536
"""How much of an answer is kept that is not gRPC."""
_UNKNOWN = 2
_REFUSED = frozenset({ErrorCodes.REFUSED_STREAM, ErrorCodes.ENHANCE_YOUR_CALM})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHead:
    """Who is called: `authority` is host and port, `path` the method; `metadata` has lower-case names."""

    authority: str
    path: str
    is_tls: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Status:
    """The server ended the call: `code` 0 is success."""

    code: int
    message: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something answered that does not speak gRPC."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Broken:
    """The call died on the way; `error` says what it means."""

    error: type[WorkerError]
    words: str


Outcome = Status | Refusal | Broken


@final
class Call:
    """The state of one call.

    `to_send()` is asked after every other call. `pieces` holds what came of the answer's body, to be taken by the
    reader; `has_head` says whether a gRPC answer has begun, `outcome` how the call ended, None while it goes on.
    """

    __slots__ = ("_farewells", "_h2", "_head", "_refused_body", "_rest", "_stream", "has_head", "outcome", "pieces")

    def __init__(self, head: CallHead, message: bytes) -> None:
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._farewells = Farewells()
        self._rest = memoryview(framed(message))
        self._head: Mapping[str, str] = {}
        self._refused_body: bytearray | None = None
        self.has_head = False
        self.pieces: list[bytes] = []
        self.outcome: Outcome | None = None
        self._h2.initiate_connection()
        self._stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(self._stream, _headers(head))
        self._send_more()

    def __repr__(self) -> str:
        return f"<Call {self.outcome or 'open'}>"

    def to_send(self) -> bytes:
        """Return what has to be written now, b"" if nothing."""
        return self._h2.data_to_send()

    def receive(self, data: bytes) -> None:
        """Take what came from the network; b"" is the end of the connection."""
        if not data:
            self._end(Broken(WorkerReset, "the engine closed the connection before its answer was whole"))
            return
        passed = self._farewells.pass_on(data)
        if self._farewells.last_stream is not None and self._farewells.last_stream < self._stream:
            self._end(Broken(PoolUnavailable, "the engine is stopping and did not take the request"))
            return
        try:
            self._take(self._h2.receive_data(passed))
            self._send_more()
        except H2Error:
            self._end(Broken(AdapterError, "the answer is not HTTP/2"))

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case ResponseReceived():
                    self._begin(_decoded(event.headers))
                case TrailersReceived():
                    self._conclude(_decoded(event.headers))
                case DataReceived():
                    self._keep(event)
                case StreamEnded():
                    self._end(self._without_status())
                case StreamReset():
                    self._end(_reset(event.error_code))
                case _:
                    pass

    def _begin(self, headers: Mapping[str, str]) -> None:
        self._head = headers
        if headers.get(":status") != "200" or not headers.get("content-type", "").startswith("application/grpc"):
            self._refused_body = bytearray()
            return
        self.has_head = True
        self._conclude(headers)  # an answer may have nothing but an end

    def _keep(self, event: DataReceived) -> None:
        if event.flow_controlled_length:
            self._h2.acknowledge_received_data(event.flow_controlled_length, self._stream)
        if self._refused_body is not None:
            self._refused_body += event.data
            if len(self._refused_body) >= REFUSAL_BYTES:
                self._end(self._without_status())
        elif event.data:
            self.pieces.append(event.data)

    def _conclude(self, trailers: Mapping[str, str]) -> None:
        if self._refused_body is not None or "grpc-status" not in trailers:
            return
        code = _number(trailers["grpc-status"])
        message = unquote_to_bytes(trailers.get("grpc-message", "")).decode("utf-8", "replace")
        self._end(Status(_UNKNOWN if code is None else code, message))

    def _without_status(self) -> Outcome:
        if self._refused_body is None:
            return Broken(WorkerReset, "the call ended without its status")
        status = _number(self._head.get(":status", ""))
        return Refusal(status or 0, self._head, bytes(self._refused_body[:REFUSAL_BYTES]))

    def _end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome

    def _send_more(self) -> None:
        """Hand over as much of the message as the server allows by now, and with the last of it the end."""
        while self._rest and self.outcome is None:
            allowed = min(self._h2.local_flow_control_window(self._stream), self._h2.max_outbound_frame_size)
            if allowed <= 0:
                return
            piece, self._rest = self._rest[:allowed], self._rest[allowed:]
            self._h2.send_data(self._stream, bytes(piece), end_stream=not self._rest)


def _headers(head: CallHead) -> list[HeaderWeaklyTyped]:
    """Return the request's headers; what a caller adds may be a credential, which no table and no log may keep."""
    return [
        (":method", "POST"),
        (":scheme", "https" if head.is_tls else "http"),
        (":path", head.path),
        (":authority", head.authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "orchestratord"),
        *(NeverIndexedHeaderTuple(name, value) for name, value in head.metadata.items()),
    ]


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


def _reset(code: ErrorCodes | int) -> Broken:
    if code in _REFUSED:
        return Broken(PoolUnavailable, "the engine does not take the call now")
    name = code.name if isinstance(code, ErrorCodes) else f"code {code}"
    return Broken(WorkerReset, f"the engine reset the call ({name})")
