"""Opening and closing byte streams.

Opening: the given dialler or TCP with happy eyeballs, then TLS where the origin asks for it. Closing: at once, without
a farewell, and without waiting where the stream lets us. Every failure to open is an `httpx.ConnectError`.

Implements: HTU-1001.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import httpx
import trio

if TYPE_CHECKING:
    import ssl

for _library in ("hpack", "httpcore"):
    # At DEBUG they log the headers of requests and answers as they are, credentials among them.
    logging.getLogger(_library).setLevel(logging.INFO)

CLOSE_S = 1.0
"""The longest that the orderly part of closing may take; sockets are closed before it."""
Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""`dial(host, port)` opens a byte stream in place of a TCP connection."""


class Origin(NamedTuple):
    """Where connections are alike."""

    scheme: str
    host: str
    port: int


@runtime_checkable
class _SyncClose(Protocol):
    def close(self) -> None: ...


def origin_of(url: httpx.URL) -> Origin:
    """Return the origin of `url`; raise `httpx.UnsupportedProtocol`."""
    if url.scheme not in {"http", "https"}:
        raise httpx.UnsupportedProtocol("only http and https")
    return Origin(url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))


async def open_stream(origin: Origin, dial: Dial | None, tls: ssl.SSLContext | None) -> trio.abc.Stream:
    """Connect to `origin`, with a TLS handshake if `tls` is given; raise `httpx.ConnectError`.

    Cancelled leaves nothing open.
    """
    try:
        stream = await (dial or trio.open_tcp_stream)(origin.host, origin.port)
        return stream if tls is None else await _secured(stream, tls, origin.host)
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as failure:
        raise httpx.ConnectError("connecting failed") from failure


async def _secured(stream: trio.abc.Stream, tls: ssl.SSLContext, host: str) -> trio.abc.Stream:
    secured = trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except BaseException:
        with trio.move_on_after(CLOSE_S, shield=True):
            await close(stream)
        raise
    return secured


def speaks_http2(stream: trio.abc.Stream) -> bool:
    """Return whether a TLS handshake ended in HTTP/2."""
    return isinstance(stream, trio.SSLStream) and stream.selected_alpn_protocol() == "h2"


def is_stale(stream: trio.abc.Stream) -> bool:
    """Return whether an idle connection has something to read: its end, or bytes that nobody asked for."""
    if isinstance(stream, trio.SSLStream):
        return is_stale(stream.transport_stream)
    if not isinstance(stream, trio.SocketStream):
        return False  # no way to look without waiting
    if stream.socket.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(stream.socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def sever(stream: trio.abc.Stream) -> bool:
    """Close `stream` in this very moment, without a farewell; False if it can only be closed by waiting.

    A task that waits for the stream wakes with `trio.ClosedResourceError`.
    """
    match stream:
        case trio.SSLStream():
            return sever(stream.transport_stream)
        case trio.SocketStream():
            stream.socket.close()
            return True
        case trio.StapledStream():
            return all([_sever_half(stream.send_stream), _sever_half(stream.receive_stream)])
        case _:
            return _sever_half(stream)


def _sever_half(half: trio.abc.AsyncResource) -> bool:
    if isinstance(half, _SyncClose):
        half.close()
        return True
    return False


async def close(stream: trio.abc.Stream) -> None:
    """Close `stream` at once; waits only where the stream cannot be closed otherwise, and then not for the peer."""
    if not sever(stream):
        with trio.CancelScope(shield=True) as scope:
            scope.cancel()  # from the start: such a closing is forceful and does not wait for the peer
            await stream.aclose()
