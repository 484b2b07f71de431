"""Running the service for as long as a command lasts: `up` and `serve` share this.

The service itself is called in the command's own task; it tells that it runs, and until then a signal cancels it.
"""

from __future__ import annotations

import errno
import gc
import socket
import sys
from typing import TYPE_CHECKING, Protocol

import trio

from .start import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from orchestratord.config import Address, Config

    from .signals import Session

GC_THRESHOLDS = (10_000, 10, 10)
_DRAINING = "draining: running tasks end or are cancelled at the deadline; Ctrl-C again stops at once\n"


class Running(Protocol):
    """A service that runs."""

    @property
    def url(self) -> str:
        """Where it answers."""

    @property
    def stop(self) -> Callable[[], None]:
        """Begin the drain; called again, end at once."""


class Serve(Protocol):
    """`orchestratord.service.serve`."""

    async def __call__(self, config: Config, *, task_status: trio.TaskStatus[Running]) -> None:
        """Serve until stopped and drained."""


class _Announce:
    """A `task_status` that calls back, so that the service needs no task of its own."""

    def __init__(self, announce: Callable[[Running], None]) -> None:
        self._announce = announce

    def started(self, value: Running | None = None) -> None:
        """Take what the service tells once it answers."""
        assert value is not None, "a service that runs says where"
        self._announce(value)


async def serve_pools(
    config: Config,
    serve: Serve,
    session: Session,
    *,
    greet: Callable[[str], None],
    beside: Callable[[str], Awaitable[None]] | None = None,
    how_to_move: str,
) -> int:
    """Serve until a signal, then drain; returns the exit code. Raises `CommandFailed`.

    Once it serves, `greet(url)` is called, and `beside(url)` runs until it is done or the first signal comes.
    `how_to_move` says how another address is chosen.
    """
    side_scope = trio.CancelScope()

    async def run_beside(url: str) -> None:
        with side_scope:
            if beside is not None:
                await beside(url)

    def announce(running: Running) -> None:
        def drain() -> None:
            sys.stderr.write(_DRAINING)
            side_scope.cancel()
            running.stop()

        session.on_signal(drain, running.stop)
        greet(running.url)
        session.nursery.start_soon(run_beside, running.url)

    require_free(config.server.address, how_to_move)
    try:
        await serve(config, task_status=_Announce(announce))
    except OSError as error:
        raise CommandFailed(_cannot_listen(config.server.address, error, how_to_move)) from None
    except ValueError as error:  # an adapter's own check, beyond its schema: nothing runs yet
        raise CommandFailed(f"an adapter cannot use its settings: {error}") from None
    return 0


def collect_rarely() -> None:
    """Leave what is loaded by now to itself, and collect the rest less often.

    A full collection holds up every stream for 30 to 200 ms on a loaded two-core machine.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def require_free(address: Address, how_to_move: str) -> None:
    """Raise `CommandFailed` if the address cannot be listened on: before a model is loaded for nothing."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CommandFailed(_cannot_listen(address, error, how_to_move)) from None


def _cannot_listen(address: Address, error: OSError, how_to_move: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {address.port} on {address.host} is in use by another program. Stop it, or {how_to_move}"
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {address.port}. Choose one above 1023: {how_to_move}"
    return f"cannot listen on {address}: {error.strerror or error}. To change it, {how_to_move}"
