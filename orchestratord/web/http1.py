"""HTTP/1.1 on one connection: Hypercorn's protocol, driven by us and with no way out of it.

Nothing is negotiated beyond HTTP/1.1, since this listener has no TLS: Hypercorn would take a cleartext upgrade to
HTTP/2, whose buffers hand out token bytes after a write has returned, and so after a cancel was acknowledged. Requests
that are not HTTP get an error envelope too. It knows no routes.

Implements: SSE-1002, SSE-1003, OC-CTRL-2030, OC-CTRL-2052.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, final

import h11
import msgspec
import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import parse_socket_addr

from orchestratord.errors import Code, ErrorEnvelope

if TYPE_CHECKING:
    from hypercorn.app_wrappers import ASGIWrapper
    from hypercorn.config import Config as HypercornConfig
    from hypercorn.events import Event
    from hypercorn.trio.worker_context import WorkerContext

    from .connection import Connection

RECEIVE_BYTES = 65_536
LINGER_BYTES = 8_388_608
"""How much of a body that nobody wants is thrown away, so that its sender comes to read why."""


@final
class Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 without its upgrades."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay: a server may ignore every wish to upgrade."""

    async def _create_stream(self, request: h11.Request) -> None:
        """Hand the request to the application as one for a path of ours."""
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        target = _origin_form(request.target)
        await super()._create_stream(
            h11.Request(method=request.method, target=target, headers=headers, http_version=request.http_version)
        )

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what could not be read as a request."""
        envelope = ErrorEnvelope(
            code=Code.INVALID_PARAMS,
            message=f"not a request of HTTP/1.1 that can be read ({HTTPStatus(status_code).phrase})",
        )
        body = msgspec.json.encode(envelope.data)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("X-Correlation-Id", str(uuid.uuid4())),
            ("Connection", "close"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


@final
class Driver:
    """Moves bytes between one connection and the protocol."""

    def __init__(
        self, app: ASGIWrapper, config: HypercornConfig, context: WorkerContext, connection: Connection
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._connection = connection
        self._writing = trio.Lock()
        self._protocol: Http1 | None = None
        self._unwanted: int | None = None

    async def run(self) -> None:
        """Serve requests until either side closes. Cancelled stops every handler."""
        socket = self._connection.socket
        client = parse_socket_addr(socket.family, socket.getpeername())
        server = parse_socket_addr(socket.family, socket.getsockname())
        state = ConnectionState(LifespanState({"connection": self._connection}))
        async with TaskGroup() as group:
            self._protocol = Http1(
                self._app, self._config, self._context, group, state, False, client, server, self._send
            )
            self._connection.is_idle = True
            await self._read(self._protocol)

    async def _read(self, protocol: Http1) -> None:
        data = b"?"
        while data:
            try:
                data = bytes(await self._connection.receive_some(RECEIVE_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                break
            if self._unwanted is None:
                await protocol.handle(RawData(data))
            elif (unwanted := self._unwanted + len(data)) > LINGER_BYTES:
                break
            else:
                self._unwanted = unwanted
        self._connection.abort()
        await protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        match event:
            case RawData():
                await self._write(event.data)
            case Updated():
                self._connection.is_idle = event.idle
            case Closed():
                await self._close()
            case _:
                pass

    async def _close(self) -> None:
        """End the connection; where the client is still sending, hear it out for a moment.

        The handler whose answer this was may be cancelled already, and the connection has to end all the same.
        """
        assert self._protocol is not None
        with trio.CancelScope(shield=True):
            await self._connection.send_eof()
        if self._protocol.connection.their_state is h11.SEND_BODY:
            self._unwanted = 0
            self._connection.linger()
        else:
            self._connection.abort()

    async def _write(self, data: bytes) -> None:
        """Write all of it: half a chunk would spoil the rest, so a cancelled handler's last write is finished.

        That is bounded, since the connection bounds each of its writes.
        """
        assert self._protocol is not None
        async with self._writing:
            try:
                with trio.CancelScope(shield=True):
                    await self._connection.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                await self._protocol.handle(Closed())


def _origin_form(target: bytes) -> bytes:
    """Return the path and query of a request's target, whichever form it has; what has none is the root."""
    if target.startswith(b"/"):
        return target
    _, _, beyond = target.partition(b"://")
    return b"/" + beyond.partition(b"/")[2]
