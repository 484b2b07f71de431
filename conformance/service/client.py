"""A plain client of HTTP/1.1: one connection for one request, everything bounded, nothing hidden.

`h11` knows the protocol, Trio carries the bytes; no header is added that was not asked for, no redirect is followed,
nothing is decoded. It shares no code with the service's own clients, so a mistake of theirs cannot hide here.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final
from urllib.parse import urlsplit

import h11
import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Dial = Callable[[], Awaitable[trio.abc.Stream]]
    Headers = Sequence[tuple[str, str]]

_CHUNK_BYTES = 65_536
_MOST_BODY_BYTES = 16 * 2**20  # no answer of the contract but a stream comes near


@final
class WireFault(Exception):
    """The service did not answer as HTTP demands, or not in time; the text says how."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: header names in lower case, every header as it came."""

    status: int
    headers: Headers
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return the first header of that name."""
        return next((value for each, value in self.headers if each == name.lower()), None)

    @property
    def data(self) -> object:
        """The JSON in the body; None if there is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @property
    def fields(self) -> dict[str, object]:
        """The JSON object in the body; empty if there is none."""
        data = self.data
        return data if isinstance(data, dict) else {}

    @property
    def code(self) -> str:
        """The error's code; empty without one."""
        code = self.fields.get("code")
        return code if isinstance(code, str) else ""

    def __str__(self) -> str:
        """Return status and body, the whole of it: who shows it masks it first and then cuts it."""
        return f"{self.status} {self.body.decode('utf-8', 'backslashreplace')}".rstrip()


@final
class Connection:
    """One connection with one request on it; every wait takes at most `patience_s`, then it is a `WireFault`."""

    def __init__(self, stream: trio.abc.Stream, authority: str, patience_s: float) -> None:
        self._stream = stream
        self._authority = authority
        self._patience_s = patience_s
        self._http = h11.Connection(h11.CLIENT)

    async def send(
        self, method: str, path: str, *, headers: Headers = (), body: bytes | None = None, length: int | None = None
    ) -> None:
        """Send a request; with `length`, that is what the head claims, whatever the body is."""
        head = [("Host", self._authority), *headers]
        if body is not None:
            head += [("Content-Type", "application/json"), ("Content-Length", str(length or len(body)))]
        pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in head]
        data = self._http.send(h11.Request(method=method, target=path, headers=pairs)) or b""
        if body:
            data += self._http.send(h11.Data(data=body)) or b""
        if length is None:
            data += self._http.send(h11.EndOfMessage()) or b""
        try:
            with trio.fail_after(self._patience_s):
                await self._stream.send_all(data)
        except trio.TooSlowError:
            raise WireFault(f"the request was not taken within {self._patience_s:g} s") from None
        except trio.BrokenResourceError:
            pass  # it may have answered before it stopped listening

    async def pour(self, path: str, headers: Headers, beginning: bytes, most_bytes: int) -> Reply:
        """Send a body without a length, on and on until there is an answer or so much is sent; return the answer."""
        await self.send("POST", path, headers=[*headers, ("Transfer-Encoding", "chunked")], length=most_bytes)
        answer: Reply | WireFault = WireFault("no answer")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pour_on, beginning, most_bytes)
            try:
                answer = await self.reply()
            except WireFault as fault:
                answer = fault
            nursery.cancel_scope.cancel()
        if isinstance(answer, WireFault):  # raised here: the nursery would put it into a group
            raise answer
        return answer

    async def _pour_on(self, beginning: bytes, most_bytes: int) -> None:
        piece, sent = beginning, 0
        try:
            while sent < most_bytes:
                await self._stream.send_all(self._http.send(h11.Data(data=piece)) or b"")
                sent += len(piece)
                piece = b"x" * _CHUNK_BYTES
            await self._stream.send_all(self._http.send(h11.EndOfMessage()) or b"")
        except (trio.BrokenResourceError, h11.LocalProtocolError):
            pass  # it has stopped listening, or answered and closed

    async def head(self) -> Reply:
        """Read the head of the answer."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
                return Reply(event.status_code, headers)
            if not isinstance(event, h11.InformationalResponse):
                raise WireFault(f"expected the head of an answer, got {type(event).__name__}")

    async def piece(self) -> bytes | None:
        """Read what there is of the body; None at its end."""
        event = await self._event()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        return None

    async def reply(self) -> Reply:
        """Read the whole answer."""
        head = await self.head()
        body = bytearray()
        while (piece := await self.piece()) is not None:
            body += piece
            if len(body) > _MOST_BODY_BYTES:
                raise WireFault(f"an answer of more than {_MOST_BODY_BYTES} bytes")
        return Reply(head.status, head.headers, bytes(body))

    async def past_the_end(self, within_s: float) -> bytes:
        """Return what else comes on the connection within that time."""
        data = self._http.trailing_data[0]
        with trio.move_on_after(within_s):
            try:
                while more := await self._stream.receive_some(_CHUNK_BYTES):
                    data += bytes(more)
            except trio.BrokenResourceError:
                pass
        return bytes(data)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await trio.aclose_forcefully(self._stream)

    async def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                with trio.fail_after(self._patience_s):
                    self._http.receive_data(bytes(await self._stream.receive_some(_CHUNK_BYTES)))
        except trio.TooSlowError:
            raise WireFault(f"nothing came for {self._patience_s:g} s") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise WireFault(f"the connection broke: {error}") from None
        except h11.RemoteProtocolError as error:
            raise WireFault(f"not HTTP: {error}") from None
        if isinstance(event, h11.ConnectionClosed):
            raise WireFault("the connection was closed without an answer")
        return event


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is; ValueError for a URL that does not say."""

    is_tls: bool
    host: str
    port: int
    prefix: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read a URL."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a service; one looks like http://127.0.0.1:8080")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the URL has more in it than host, port and path; a token comes with --token-env")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """What stands in `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    async def dial(self) -> trio.abc.Stream:
        """Connect; `OSError` if nobody is there."""
        if not self.is_tls:
            return await trio.open_tcp_stream(self.host, self.port)
        stream = await trio.open_ssl_over_tcp_stream(
            self.host, self.port, https_compatible=True, ssl_context=ssl.create_default_context()
        )
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream
