"""HTTP/1.1 as bytes: one request written, one response parsed. No I/O.

`httptools` (llhttp) does the parsing; here are the rules that it leaves to its user: answers to HEAD, interim responses
(1xx), bodies that last until the connection closes, whether it can be used again, and a bound on all that is not body.
The bound counts bytes since the last piece of body, so it covers head, chunk headers and trailers alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import httptools
import httpx

from ._failures import MalformedResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERHEAD_BYTES = 65_536
"""No engine's head comes near it; httpcore allows 100 KiB."""
_FORBIDDEN = (b"\r", b"\n", b"\0")


def encode_request(request: httpx.Request, body: bytes) -> bytes:
    """Return the bytes of `request`; raise `httpx.LocalProtocolError` if a part of its head would not stay one line."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % pair for pair in request.headers.raw if pair[0].lower() != b"transfer-encoding"]
    if "transfer-encoding" in request.headers:  # the body was a stream; here it is whole
        lines.append(b"content-length: %d" % len(body))
    if any(mark in line for line in lines for mark in _FORBIDDEN):
        raise httpx.LocalProtocolError("a line end or NUL in the request's head", request=request)
    return b"\r\n".join((*lines, b"", body))


@final
class ResponseParser:
    """One response, fed as it comes.

    `pieces` are body bytes for the reader to take and clear; `head_done`, `complete` and `failure` say where the
    response stands after them. `reusable` is true once another request may follow on the same connection.
    """

    __slots__ = (
        "_is_head",
        "_overhead_bytes",
        "_parser",
        "_until_close",
        "complete",
        "failure",
        "head_done",
        "headers",
        "on_body",
        "pieces",
        "reusable",
        "status",
    )

    def __init__(self, *, method: str) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append  # what the parser calls for each piece: no Python frame in between
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.head_done = self.complete = self.reusable = False
        self.failure: httpx.RemoteProtocolError | None = None
        self._is_head = method == "HEAD"
        self._until_close = True
        self._overhead_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take bytes; b"" is the end of the connection."""
        if not data:
            self._end()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # After the end it is something that nobody asked for: no fault of this response, but of its connection.
            self.reusable = False
            if not self.complete:
                self.failure = MalformedResponse("the response is not HTTP/1.1")
        if not self.pieces or self._is_head:
            self._note_overhead(len(data))
        else:
            self._overhead_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; trailers are dropped."""
        if not self.head_done:
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """End the head, or forget it if it is an interim one."""
        self.status = self._parser.get_status_code()
        if self.status == httpx.codes.SWITCHING_PROTOCOLS:
            raise MalformedResponse("an upgrade that was not asked for")
        if self.status < httpx.codes.OK:
            self.headers.clear()
            return
        self._until_close = _lasts_until_close(self.headers)
        self.head_done = True
        if self._is_head:
            self._complete()

    def on_message_complete(self) -> None:
        """End the response, unless it is an interim one."""
        if self.head_done:
            self._complete()

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self.complete:
            raise MalformedResponse("a response that nobody asked for")

    def _complete(self) -> None:
        self.complete = True
        self.reusable = self._parser.should_keep_alive()

    def _end(self) -> None:
        self.reusable = False
        if self.head_done and self._until_close and self.failure is None:
            self.complete = True
        elif not self.complete and self.failure is None:
            self.failure = httpx.RemoteProtocolError("the connection ended inside the response")

    def _note_overhead(self, size: int) -> None:
        if self._is_head and self.pieces:  # a body where there is none
            self.pieces.clear()
            self.reusable = False
        self._overhead_bytes += size
        if self._overhead_bytes > OVERHEAD_BYTES and not self.complete and self.failure is None:
            self.failure = MalformedResponse(f"more than {OVERHEAD_BYTES} bytes that are not body")


def _lasts_until_close(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether only the connection's end ends the body; raise for a transfer coding other than `chunked`."""
    framed = False
    for name, value in headers:
        match name.lower():
            case b"transfer-encoding" if value.lower() != b"chunked":
                raise MalformedResponse("a transfer coding other than chunked")
            case b"transfer-encoding" | b"content-length":
                framed = True
            case _:
                pass
    return not framed
