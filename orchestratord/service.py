"""The composition root: from a configuration to a running service, and back down in order.

What is opened first is closed last: the adapters outlive the runs, the runs outlive the requests, and every task has a
nursery here that ends it. Concrete engines are found by name through their entry points.

Implements: AH-1001, OC-CTRL-2012, OC-CTRL-2031, AUTH-1002.
"""

from __future__ import annotations

import random
import uuid
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO, final

import trio
import trio.abc

from adapter_api import AdapterContext, CorrelationId, PoolId, ReplicaId, load_factory
from adapter_host import AdapterHost, bound
from http_util.redaction import Redactor
from orchestratord.config import egress_policy
from orchestratord.runtime.dispatcher import Dispatcher
from orchestratord.runtime.history import History
from orchestratord.runtime.pool import Pool
from orchestratord.runtime.probe import Prober
from orchestratord.runtime.run import Runner
from orchestratord.telemetry import Metrics, Telemetry, open_log
from orchestratord.web.app import create_app
from orchestratord.web.server import HttpServer, listen
from orchestratord.web.services import Services

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import AdapterFactory, WorkerAdapter
    from orchestratord.config import Config

    Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]

FLUSH_S = 2.0
"""After a drain, how long connections may take to carry their last frames away, in seconds."""


class AdapterNotOpened(ValueError):
    """An adapter could not be opened with its settings; the text names the pool and the replica."""


@final
@dataclass(eq=False, slots=True)
class Running:
    """A service that accepts connections at `url`.

    The first `stop` starts the drain, the second ends it at once. `dispatcher` and `server` are there for whoever
    embeds the service.
    """

    url: str
    dispatcher: Dispatcher
    server: HttpServer
    _stopping: trio.Event
    _drain: trio.CancelScope

    def stop(self) -> None:
        """Begin to stop, or stop waiting."""
        if self._stopping.is_set():
            self._drain.cancel()
        self._stopping.set()

    async def wait_stopped(self, drain_s: float) -> None:
        """Wait for `stop`, then for the drain, `drain_s` seconds at most, and for what clients still read."""
        await self._stopping.wait()
        with self._drain:
            await self.dispatcher.drain(drain_s)
        await self.dispatcher.drain(0)
        await self.server.stop(FLUSH_S)


async def serve(
    config: Config,
    *,
    factories: Callable[[str], AdapterFactory] = load_factory,
    log_stream: TextIO | None = None,
    dial: Dial | None = None,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `Running.stop` is called and the drain is over; started once connections are accepted.

    Raises `AddressInUse`, and `AdapterNotOpened` for settings that an adapter cannot work with. Cancelled cancels every
    task, with its terminal frame written to whoever still reads.
    """
    listeners = await listen(config.server.address)
    opened = open_service(config, factories=factories, log_stream=log_stream, dial=dial)
    with ExitStack() as sockets:
        for listener in listeners:
            sockets.callback(listener.socket.close)
        async with opened as (dispatcher, server), trio.open_nursery() as nursery:
            running = Running(_url(listeners), dispatcher, server, trio.Event(), trio.CancelScope())
            nursery.start_soon(server.serve, listeners)
            task_status.started(running)
            await running.wait_stopped(config.server.drain_deadline_ms / 1000)
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_service(
    config: Config,
    *,
    factories: Callable[[str], AdapterFactory] = load_factory,
    log_stream: TextIO | None = None,
    dial: Dial | None = None,
) -> AsyncGenerator[tuple[Dispatcher, HttpServer], None]:
    """Open everything but the listening sockets; leaving cancels what still runs and closes the adapters.

    With `dial`, adapters reach their engines through it instead of over TCP.
    """
    redactor = Redactor(values=config.secret_values())
    log = open_log(config.log, redactor.mapping, log_stream)
    telemetry = Telemetry(log, Metrics(), redactor.text, log_prompts=config.log.prompts)
    host = AdapterHost(
        observe=telemetry.host_note,
        redact=redactor.text,
        new_correlation_id=lambda: CorrelationId(str(uuid.uuid4())),
        policies={PoolId(pool.id): pool.policy for pool in config.pools},
    )
    pools = {PoolId(pool.id): Pool(pool, partial(host.breaker, PoolId(pool.id))) for pool in config.pools}
    async with AsyncExitStack() as adapters:
        await _bind_all(config, host, adapters, factories, redactor, dial)
        async with trio.open_nursery() as nursery:  # inside the adapters, which may have nurseries of their own
            dispatcher = Dispatcher(
                nursery=nursery,
                pools=pools,
                history=History(config.history),
                runner=Runner(host, config.stream, telemetry),
                stream=config.stream,
                telemetry=telemetry,
            )
            _watch_all(nursery, Prober(host, telemetry), pools.values())
            app = create_app(Services(config, dispatcher, telemetry, redactor.text))
            server = HttpServer(
                app,
                stall_s=config.server.client_stall_timeout_ms / 1000,
                max_connections=config.server.max_connections,
                report=partial(_tell_broken, telemetry),
            )
            yield dispatcher, server
            nursery.cancel_scope.cancel()


def _watch_all(nursery: trio.Nursery, prober: Prober, pools: Iterable[Pool]) -> None:
    for pool in pools:
        for replica in pool.replicas.values():
            nursery.start_soon(prober.watch, pool, replica, name=f"probe {pool.pool_id}/{replica.replica_id}")


async def _bind_all(
    config: Config,
    host: AdapterHost,
    stack: AsyncExitStack,
    factories: Callable[[str], AdapterFactory],
    redactor: Redactor,
    dial: Dial | None,
) -> None:
    for pool in config.pools:
        factory = factories(pool.engine)
        for replica in pool.replicas:
            context = AdapterContext(
                pool_id=PoolId(pool.id),
                replica_id=ReplicaId(replica.id),
                random=random.random,
                dial=dial,
                redact=redactor.text,
                permits=egress_policy(config.egress.allow, replica.settings),
            )
            opened = _opened(factory.open(replica.settings, context), context)
            await stack.enter_async_context(bound(host, context.pool_id, context.replica_id, pool.engine, opened))


@asynccontextmanager
async def _opened(
    opening: AbstractAsyncContextManager[WorkerAdapter], context: AdapterContext
) -> AsyncGenerator[WorkerAdapter, None]:
    """Open an adapter; what it raises then is told as what it is, without a secret in it.

    An adapter is somebody's code: its `OSError` over a file must not pass for a port that is taken.
    """
    async with AsyncExitStack() as stack:
        try:
            adapter = await stack.enter_async_context(opening)
        except Exception as error:  # noqa: BLE001 - anything that opening raises is the settings' or the adapter's fault
            cause = _single(error)
            reason = f"{type(cause).__name__}: {context.redact(str(cause))}"
        else:
            yield adapter
            return
    raise AdapterNotOpened(f"pool {context.pool_id}, replica {context.replica_id}: {reason}")


def _single(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _tell_broken(telemetry: Telemetry, error: Exception) -> None:
    cause = _single(error)
    telemetry.log.error(
        "internal",
        human=f"a connection breaks on an unexpected {type(cause).__name__}",
        actor="orchestratord",
        action="connection",
        target="http",
        detail=str(cause),
    )


def _url(listeners: list[trio.SocketListener]) -> str:
    host, port = listeners[0].socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
