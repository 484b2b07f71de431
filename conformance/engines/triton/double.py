"""A Triton server without a model: HTTP, gRPC and metrics on three ports, and one repository behind them.

The gRPC port is the one after the HTTP port, the metrics port the next. While the server starts it refuses connections,
on all three; while models load again it answers, and says that it is not ready. What it does not play: shared memory,
sequences, the OpenAI front end, loading and unloading on request.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, final

from conformance.engines.host import Host, Link
from conformance.engines.http1 import serve_http
from conformance.engines.http2 import serve_http2
from conformance.engines.plain import PlainStage
from conformance.engines.play import play
from conformance.engines.server import ServerDouble, open_double

from .grpc_call import Call
from .grpc_service import GrpcService
from .grpc_sinks import GrpcWire
from .http_service import HttpService, is_work, received_by
from .repository import Repository
from .settings import TritonSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import trio

    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.http2 import Http2Exchange
    from conformance.engines.received import Received
    from conformance.engines.script import Script

KEEP_ALIVE_S = 60.0


@asynccontextmanager
async def open_triton(
    settings: TritonSettings | None = None, *scripts: Script, link: Link | None = None
) -> AsyncIterator[TritonDouble]:
    """Run a Triton double; leaving the block resets every connection."""
    build = partial(TritonDouble, settings=settings or TritonSettings(), link=link or Link())
    async with open_double(build) as double:
        double.load(*scripts)
        yield double


@final
class TritonDouble(ServerDouble):
    """The server, from its sockets to its models."""

    def __init__(self, nursery: trio.Nursery, settings: TritonSettings, link: Link) -> None:
        super().__init__(nursery, link, listens_while_loading=True, keep_alive_s=KEEP_ALIVE_S)
        self.settings = settings
        self.repository = Repository(self, settings)
        self._http_service = HttpService(self.repository)
        self._grpc_service = GrpcService(self.repository, self._note_work)
        self._grpc = Host(nursery, self._serve_grpc, replace(link, port=link.port + 1))
        self._metrics = Host(nursery, self._serve_metrics, replace(link, port=link.port + 2))
        self._further = {link.port + 1: self._grpc, link.port + 2: self._metrics}

    @property
    def grpc_url(self) -> str:
        """The address of the gRPC service, as an `http` URL."""
        return self._grpc.url

    @property
    def metrics_url(self) -> str:
        """The base URL of the metrics."""
        return self._metrics.url

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection in memory to one of the three ports; raises `OSError` where a real one would."""
        if port in self._further:
            return await self._further[port].dial(host, port)
        return await super().dial(host, port)

    async def serve_grpc_tcp(self, port: int = 0) -> str:
        """Listen for gRPC on 127.0.0.1 as well and return the URL."""
        return await self._grpc.serve_tcp(port)

    async def serve_metrics_tcp(self, port: int = 0) -> str:
        """Listen for scrapes on 127.0.0.1 as well and return the URL."""
        return await self._metrics.serve_tcp(port)

    def stop(self) -> None:
        """End the process: reset every connection and refuse new ones, on all ports, until `start`."""
        self._grpc.stop()
        self._metrics.stop()
        super().stop()

    def start(self, *, loading_s: float = 0.0) -> None:
        """Begin a new process; it listens once it has loaded."""
        if loading_s:
            self.nursery.start_soon(self._start_after, loading_s, 0.0)
            return
        super().start()
        self._grpc.start()
        self._metrics.start()

    def begin_exit(self) -> None:
        """Shut down: refuse whatever is asked on the connections that are open."""
        self.repository.is_exiting = True

    def forget(self) -> None:
        """Drop all work."""
        self.repository.forget()

    def is_work(self, request: SeenRequest) -> bool:
        """Return whether this is a request for work; gRPC counts its own."""
        return is_work(request)

    async def respond(self, exchange: Exchange) -> None:
        """Answer one HTTP request."""
        await self._http_service.respond(exchange)

    def received(self, request: SeenRequest) -> Received:
        """Return a request in neutral words."""
        return received_by(request)

    def _note_work(self, received: Received) -> None:
        self.facts.submitted += 1
        self._hear(received)

    async def _serve_grpc(self, stream: trio.abc.Stream) -> None:
        self.facts.connections += 1
        try:
            await serve_http2(stream, self._call)
        finally:
            self.facts.connections -= 1

    async def _call(self, exchange: Http2Exchange) -> None:
        self._note(exchange.request)
        if scripts := self._path_scripts.get(exchange.request.path):
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            wire = GrpcWire(Call(exchange, 0))
            await play(script, PlainStage(wire), wire)
        else:
            await self._grpc_service.respond(exchange)

    async def _serve_metrics(self, stream: trio.abc.Stream) -> None:
        self.facts.connections += 1
        try:
            await serve_http(stream, self._scrape, keep_alive_s=KEEP_ALIVE_S, on_request=self._note)
        finally:
            self.facts.connections -= 1

    async def _scrape(self, exchange: Exchange) -> None:
        if exchange.request.path == "/metrics":
            await exchange.answer(200, self.repository.metrics(), "text/plain; charset=utf-8")
        else:
            await exchange.answer(200, b"", "text/plain; charset=utf-8")
