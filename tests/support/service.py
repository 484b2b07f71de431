"""The whole service in one process: its HTTP server over streams in memory, and engines that are pretended.

Everything waits on Trio's clock, so a test under `autojump_clock` sees hours pass in no time. `open_service` gives the
service without a listener, `open_daemon` the one that listens and can be stopped; both are spoken to with `RawClient`.
"""

from __future__ import annotations

import io
import itertools
import socket
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self, final

import msgspec
import trio

from adapter_api import PoolId, load_factory
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings, open_llamacpp
from conformance.engines.pipe import DEFAULT_CAPACITY_BYTES, PipeEnd, open_pipe
from orchestratord import service
from orchestratord.config import config_from

from .raw_http import Events, RawClient, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from adapter_api import AdapterFactory
    from conformance.engines.host import Link
    from conformance.engines.script import Script
    from orchestratord.config import Config
    from orchestratord.runtime.dispatcher import Dispatcher
    from orchestratord.runtime.pool import Pool
    from orchestratord.service import Dial, Running
    from orchestratord.web.server import HttpServer

    Table = Mapping[str, object]
    Headers = Iterable[tuple[str, str]]

READY_WITHIN_S = 60.0
LOOPBACK = "127.0.0.1"


class Client(NamedTuple):
    """Where a connection comes from, in the shape of a socket."""

    host: str
    stream: PipeEnd
    family: int = socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return self.host, 50_000

    def getsockname(self) -> tuple[str, int]:
        return LOOPBACK, 8080

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """The only one that is set makes a close a reset, which `close` is."""

    def close(self) -> None:
        self.stream.reset()


class Sent(NamedTuple):
    """One write of the service's, noted as it begins."""

    connection: int
    at: float
    data: bytes


@final
class _Tap:
    """A stream that notes what is written, in the order of all connections together."""

    def __init__(self, stream: PipeEnd, number: int, sent: list[Sent]) -> None:
        self._stream = stream
        self._number = number
        self._sent = sent

    async def send_all(self, data: bytes) -> None:
        self._sent.append(Sent(self._number, trio.current_time(), bytes(data)))
        await self._stream.send_all(data)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


@final
@dataclass(eq=False, slots=True)
class Service:
    """A running service, and short ways to it."""

    config: Config
    dispatcher: Dispatcher
    server: HttpServer
    log: io.StringIO
    nursery: trio.Nursery
    running: Running | None = None
    connections: int = 0
    sent: list[Sent] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def pool(self) -> Pool:
        """The pool named `default`."""
        return self.dispatcher.pools[PoolId("default")]

    def connect(self, *, capacity: int = DEFAULT_CAPACITY_BYTES, host: str = LOOPBACK) -> RawClient:
        """Open a connection; with a small `capacity`, a client that does not read is soon felt."""
        ours, theirs = open_pipe(capacity=capacity)
        self.nursery.start_soon(self._serve, theirs, Client(host, theirs))
        return RawClient(ours)

    async def call(
        self,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        body: bytes | Table | None = None,
        host: str = LOOPBACK,
    ) -> Reply:
        """Make one request on a connection of its own."""
        encoded = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.connect(host=host) as client:
            return await client.call(method, path, headers=headers, body=encoded)

    async def admit(self, *, headers: Headers = (), **fields: object) -> str:
        """Have a task admitted and return its id."""
        body = task(**fields)
        reply = await self.call("POST", "/v1/tasks", body=body, headers=headers)
        assert reply.status == 202, reply
        return str(body["task_id"])

    async def open_stream(
        self, task_id: str, *, after: int | None = None, capacity: int = DEFAULT_CAPACITY_BYTES
    ) -> Events:
        """Open a task's stream and read the head of the answer."""
        client = self.connect(capacity=capacity)
        headers = [] if after is None else [("Last-Event-ID", str(after))]
        await client.send("GET", f"/v1/tasks/{task_id}/stream", headers=headers)
        head = await client.head()
        assert head.status == 200, head
        return Events(client, head)

    async def read(self, task_id: str) -> Events:
        """Read a task's stream to its end."""
        events = await self.open_stream(task_id)
        await events.rest()
        await events.close()
        return events

    async def cancel(self, task_id: str) -> Reply:
        """Cancel a task."""
        return await self.call("POST", f"/v1/tasks/{task_id}/cancel")

    async def state(self, task_id: str) -> dict[str, object]:
        """Return the task's state as the service tells it."""
        return (await self.call("GET", f"/v1/tasks/{task_id}")).data

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        text = (await self.call("GET", "/metrics")).body.decode()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = [line for line in text.split("\n") if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))

    def logged(self, event: str | None = None) -> list[dict[str, object]]:
        """Return the log's records so far, of one kind or all."""
        lines = self.log.getvalue().split("\n")
        records = [msgspec.json.decode(line, type=dict[str, object]) for line in lines if line]
        return [record for record in records if event is None or record["event"] == event]

    def sent_after_first(self, mark: bytes) -> bytes:
        """Return what was written, on all connections, after the first write that begins with `mark`."""
        first = next(number for number, sent in enumerate(self.sent) if sent.data.startswith(mark))
        return b"".join(sent.data for sent in self.sent[first + 1 :])

    async def _serve(self, stream: PipeEnd, client: Client) -> None:
        self.connections += 1
        try:
            await self.server.serve_stream(_Tap(stream, next(self._numbers), self.sent), client)
        finally:
            self.connections -= 1


_numbers = itertools.count(1)


def task(**fields: object) -> dict[str, object]:
    """Return the body of a task; None takes a field away."""
    body: dict[str, object] = {
        "task_id": str(uuid.UUID(int=next(_numbers), version=4)),
        "session_id": "0d4f6a3e-52a1-4c38-9a0c-7f3f2f7f7c55",
        "workload": "completion",
        "model_ref": "default",
        "engine": "mock",
        "ctx": 2048,
        "priority": "interactive",
        "max_tokens": 8,
        "deadline_ms": 600_000,
        "prompt": "Once upon a time",
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}


def configuration(
    settings: Table | None = None,
    *,
    engine: str = "mock",
    pool: Table | None = None,
    token: str | None = None,
    environ: Mapping[str, str] | None = None,
    **tables: object,
) -> Config:
    """Return the configuration of one pool `default` with one replica; `tables` are further tables of the file."""
    replica = {"id": "r0", "settings": {**(settings or {})}}
    data: dict[str, object] = {
        "server": {"bind": "127.0.0.1:0"},
        "log": {"format": "json", "level": "debug"},
        "pools": [
            {
                "id": "default",
                "engine": engine,
                "model_ref": "file:/models/test.gguf",
                "default": True,
                "replicas": [replica],
                **(pool or {}),
            }
        ],
        **tables,
    }
    secrets = {} if token is None else {"AUTH_TOKEN": token}
    return config_from(data, {**secrets, **(environ or {})})


@asynccontextmanager
async def open_service(
    config: Config | None = None,
    *,
    dial: Dial | None = None,
    factories: Callable[[str], AdapterFactory] = load_factory,
    is_ready: bool = True,
) -> AsyncIterator[Service]:
    """Open the service with no listener; `is_ready` waits until every engine is."""
    config = configuration() if config is None else config
    log = io.StringIO()
    opened = service.open_service(config, factories=factories, log_stream=log, dial=dial)
    failure = _Failure()
    async with trio.open_nursery() as nursery, opened as (dispatcher, server):
        with failure:
            built = Service(config, dispatcher, server, log, nursery)
            await _wait_ready(built, is_ready=is_ready)
            yield built
        nursery.cancel_scope.cancel()
    failure.raise_again()


@asynccontextmanager
async def open_daemon(
    config: Config | None = None,
    *,
    dial: Dial | None = None,
    factories: Callable[[str], AdapterFactory] = load_factory,
    is_ready: bool = True,
) -> AsyncIterator[tuple[Service, trio.Event]]:
    """Open the service as the command does, listening; yield it and the event of its having returned."""
    config = configuration() if config is None else config
    log = io.StringIO()
    returned = trio.Event()

    async def run(task_status: trio.TaskStatus[Running]) -> None:  # noqa: ASYNC128 - it is passed on
        await service.serve(config, factories=factories, log_stream=log, dial=dial, task_status=task_status)
        returned.set()

    failure = _Failure()
    async with trio.open_nursery() as nursery:
        running = await nursery.start(run)
        with failure:
            built = Service(config, running.dispatcher, running.server, log, nursery, running)
            await _wait_ready(built, is_ready=is_ready)
            yield built, returned
        nursery.cancel_scope.cancel()
    failure.raise_again()


@asynccontextmanager
async def open_llama(
    *scripts: Script,
    engine: LlamaSettings | None = None,
    link: Link | None = None,
    settings: Table | None = None,
    is_ready: bool = True,
    **tables: object,
) -> AsyncIterator[tuple[Service, LlamaCppDouble]]:
    """Open the service in front of a llama.cpp double."""
    async with open_llamacpp(engine, *scripts, link=link) as double:
        config = configuration({"url": double.url, **(settings or {})}, engine="llamacpp", **tables)  # type: ignore[arg-type]
        async with open_service(config, dial=double.dial, is_ready=is_ready) as built:
            yield built, double


async def _wait_ready(built: Service, *, is_ready: bool) -> None:
    with trio.fail_after(READY_WITHIN_S):
        for pool in built.dispatcher.pools.values():
            while is_ready and not pool.is_ready:
                await pool.wait_change()


@final
class _Failure:
    """Keeps the exception of a block past the nurseries around it: a failed assertion is read as it is."""

    def __init__(self) -> None:
        self.kept: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, raised: BaseException | None, _traceback: object) -> bool:
        self.kept = raised if isinstance(raised, Exception) else None
        return self.kept is not None

    def raise_again(self) -> None:
        if self.kept is not None:
            raise self.kept
