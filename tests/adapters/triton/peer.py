"""The server's side of one HTTP/2 connection, driven by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded

from adapters.triton.grpc_frames import framed

if TYPE_CHECKING:
    from collections.abc import Sequence

OK_HEAD = ((":status", "200"), ("content-type", "application/grpc"))
OK_END = (("grpc-status", "0"),)


@dataclass(slots=True)
class Http2Peer:
    """Takes one request and answers as it is told; `wire()` is what has to be sent."""

    h2: H2Connection = field(default_factory=lambda: H2Connection(H2Configuration(client_side=False)))
    request: bytearray = field(default_factory=bytearray)
    headers: dict[str, str] = field(default_factory=dict)
    has_whole_request: bool = False

    def __post_init__(self) -> None:
        self.h2.initiate_connection()

    def take(self, data: bytes, *, acknowledge: bool = True) -> None:
        for event in self.h2.receive_data(data):
            match event:
                case RequestReceived():
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                case DataReceived():
                    self.request += event.data
                    if acknowledge:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
                case StreamEnded():
                    self.has_whole_request = True
                case _:
                    pass

    def head(self, headers: Sequence[tuple[str, str]] = OK_HEAD, *, end: bool = False) -> None:
        self.h2.send_headers(1, headers, end_stream=end)

    def message(self, message: bytes) -> None:
        self.h2.send_data(1, framed(message))

    def end(self, trailers: Sequence[tuple[str, str]] = OK_END) -> None:
        self.h2.send_headers(1, trailers, end_stream=True)

    def wire(self) -> bytes:
        return self.h2.data_to_send()
