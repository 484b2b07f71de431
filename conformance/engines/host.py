"""The machine a double runs on: it is dialled in memory or on real TCP, it refuses, it dies and comes back.

Every connection is one task in the nursery given; dying resets them all in one synchronous stretch. In memory there is
no operating system underneath, so everything happens in virtual time.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import trio

from .http1 import reset_stream
from .pipe import DEFAULT_CAPACITY_BYTES, open_pipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The way to the double: `connect_s` until a connection is there, then `latency_s` for the bytes, each way."""

    name: str = "engine.test"
    port: int = 8080
    connect_s: float = 0.0
    latency_s: float = 0.0
    capacity_bytes: int = DEFAULT_CAPACITY_BYTES


@final
class Host:
    """Accept connections and give each to `serve`; `nursery` holds them."""

    def __init__(self, nursery: trio.Nursery, serve: Callable[[trio.abc.Stream], Awaitable[None]], link: Link) -> None:
        self._nursery = nursery
        self._serve = serve
        self._link = link
        self._open: dict[trio.abc.Stream, trio.CancelScope] = {}
        self._listening: list[trio.CancelScope] = []
        self._is_up = True
        self._came_up = trio.Event()

    def __repr__(self) -> str:
        return f"<Host {self.url} {'up' if self._is_up else 'down'} connections={self.connections}>"

    @property
    def url(self) -> str:
        """The address that `dial` answers to."""
        return f"http://{self._link.name}:{self._link.port}"

    @property
    def connections(self) -> int:
        """How many connections are open at this moment."""
        return len(self._open)

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection in memory; raise `OSError` as the operating system would."""
        await trio.sleep(self._link.connect_s)
        if host != self._link.name:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if port != self._link.port or not self._is_up:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        theirs, ours = open_pipe(capacity=self._link.capacity_bytes, latency_s=self._link.latency_s)
        self._nursery.start_soon(self._hold, ours)
        return theirs

    async def serve_tcp(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 too, until the nursery ends; return the URL. Port 0 takes a free one."""
        bound = await self._nursery.start(self._listen, port)
        return f"http://127.0.0.1:{bound}"

    def stop(self) -> None:
        """Die: reset every connection and refuse new ones."""
        self._is_up = False
        for stream, scope in self._open.items():
            scope.cancel()  # first: who waits for this client is to learn of the end, not of a client that left
            reset_stream(stream)
        for scope in self._listening:
            scope.cancel()

    def start(self) -> None:
        """Accept connections again."""
        self._is_up = True
        self._came_up.set()
        self._came_up = trio.Event()

    async def _hold(self, stream: trio.abc.Stream) -> None:
        with trio.CancelScope() as scope:
            self._open[stream] = scope
            try:
                async with stream:
                    await self._serve(stream)
            finally:
                del self._open[stream]

    async def _listen(self, port: int, task_status: trio.TaskStatus[int]) -> None:
        (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        bound: int = listener.socket.getsockname()[1]
        task_status.started(bound)
        while True:
            if self._is_up:
                await self._accept_while_up(listener)
            await listener.aclose()
            while not self._is_up:
                await self._came_up.wait()
            (listener,) = await trio.open_tcp_listeners(bound, host="127.0.0.1")

    async def _accept_while_up(self, listener: trio.SocketListener) -> None:
        with trio.CancelScope() as scope:
            self._listening.append(scope)
            try:
                await trio.serve_listeners(self._hold, [listener], handler_nursery=self._nursery)
            finally:
                self._listening.remove(scope)
