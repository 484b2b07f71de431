"""Carries the application over byte streams with Hypercorn, one task and one cancel scope per connection.

The listening sockets, the connections' life and the end of both are ours, because a service that streams must be able
to cut a client off and to exit within its grace period whatever its clients do.

Implements: SSE-1001, SSE-1003, SSE-1004, ORCH-3031b.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NoReturn, final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.logging import Logger
from hypercorn.trio.worker_context import WorkerContext

from .connection import Connection
from .http1 import Driver
from .turned_away import Doorman

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
    from quart_trio import QuartTrio

    from orchestratord.config import Address

    from .connection import Socket, Transport

BACKLOG = 1024


class AddressInUse(OSError):
    """Another program listens on the address."""


@final
class _Silent(Logger):
    """Hypercorn's log: nothing, since the application tells all that matters, redacted."""

    async def exception(self, message: str, *args: object, **kwargs: object) -> None:
        """Swallow the report of a broken request; `_Reporting` has told it."""


@final
class _Reporting:
    """An application whose unexpected failures are told: those of a response's body reach no error handler of its."""

    def __init__(self, app: ASGIFramework, report: Callable[[Exception], None]) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            await self._app(scope, receive, send)
        except* Exception as group:
            self._report(group)
            raise


@final
class HttpServer:
    """Serves one application on at most `max_connections` streams; `report` is told what breaks one unexpectedly."""

    def __init__(
        self, app: QuartTrio, *, stall_s: float, max_connections: int, report: Callable[[Exception], None]
    ) -> None:
        self._app = ASGIWrapper(_Reporting(app, report))
        self._report = report
        self._stall_s = stall_s
        self._doorman = Doorman(max_connections)
        self._context = WorkerContext(None)
        self._config = HypercornConfig()
        self._config.accesslog = None
        self._config.errorlog = None
        self._config.logger_class = _Silent
        self._config.include_server_header = False
        self._connections: dict[Connection, None] = {}
        self._one_less = trio.Event()

    def __repr__(self) -> str:
        return f"<HttpServer connections={len(self._connections)}>"

    async def serve(self, listeners: list[trio.SocketListener]) -> NoReturn:
        """Accept connections until cancelled; that cancels the connections too."""
        await trio.serve_listeners(self._serve_socket, listeners)

    async def serve_stream(self, transport: Transport, socket: Socket) -> None:
        """Serve one connection until it ends, or turn it away. Cancelled closes it at once."""
        if len(self._connections) >= self._doorman.limit:
            await self._doorman.turn_away(transport)
            return
        connection = Connection(transport, socket, stall_s=self._stall_s)
        self._connections[connection] = None
        try:
            with connection.scope:
                await Driver(self._app, self._config, self._context, connection).run()
        except Exception as error:  # noqa: BLE001 - one client's bytes must not end the service for all
            self._report(error)
        finally:
            del self._connections[connection]
            self._one_less.set()
            connection.abort()
            with trio.CancelScope() as scope:
                scope.cancel()  # a cancelled close is a forceful one
                await transport.aclose()

    async def stop(self, grace_s: float) -> None:
        """End keep-alive, give requests under way `grace_s` seconds, and cut off the rest."""
        await self._context.terminated.set()
        for connection in [each for each in self._connections if each.is_idle]:
            connection.abort()
        with trio.move_on_after(grace_s):
            while self._connections:
                self._one_less = trio.Event()
                await self._one_less.wait()
        for connection in list(self._connections):
            connection.cut_off()

    async def _serve_socket(self, stream: trio.SocketStream) -> None:
        await self.serve_stream(stream, stream.socket)


async def listen(address: Address) -> list[trio.SocketListener]:
    """Listen on the address; raise `AddressInUse` if another program does."""
    try:
        return await trio.open_tcp_listeners(address.port, host=address.host, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(error.errno, f"another program listens on {address}") from error
        raise
