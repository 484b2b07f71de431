"""The embedded engine: a llama.cpp server that is there, comes back when it dies, and ends with the block.

The port is chosen once and kept over restarts, so the adapter's URL stays right; between a death and the next start the
port refuses connections, and the pool's health says so without being told. A lost race for the port at the first start
means another port; at a restart it means another try.
"""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NoReturn

import trio

from .child import EXIT_PORT_TAKEN
from .log import EngineLog
from .process import module_command, run_child
from .reports import EngineUnavailable, Progress, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from .model import Model
    from .process import Child
    from .reports import Report

_PORT_ATTEMPTS = 3
_PROGRESS_PERIOD_S = 1.0
_BACKOFF_FIRST_S = 0.25
_BACKOFF_CAP_S = 30.0
_STABLE_S = 60.0  # an engine that ran this long starts over with the shortest back-off


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the server runs: tasks at once, context of each in tokens, and tokens per batch.

    A cancel takes effect between batches: the default batch frees a slot within a second on a slow machine.
    """

    parallel: int = 2
    ctx: int = 2048
    batch: int = 256
    log_path: Path | None = None


@dataclass(slots=True)
class EmbeddedEngine:
    """The running engine; `restarts` counts how often it was brought back, `pid` is None while it is down."""

    model: Model
    url: str
    version: str
    restarts: int = 0
    pid: int | None = None


@asynccontextmanager
async def open_embedded_engine(
    model: Model, settings: EngineSettings, report: Report, command: Callable[[int], Sequence[str]] | None = None
) -> AsyncIterator[EmbeddedEngine]:
    """Start the engine, wait until it answers, keep it running, stop it at the end of the block.

    `command(port)` is what is run in place of llama.cpp. Raises `EngineUnavailable` if it does not come up; an error
    of the block leaves as it is.
    """
    log = EngineLog(settings.log_path)
    supervisor = _Supervisor(model, command or _llama_command(model, settings), log, report)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        outcome = await nursery.start(supervisor.run)
        if isinstance(outcome, EmbeddedEngine):
            try:
                yield outcome
            except Exception as error:  # noqa: BLE001 - kept out of the nursery's group and raised below
                failure = error
        else:
            failure = outcome
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def engine_version() -> str:
    """The version of the package that carries llama.cpp: the server itself does not know its build."""
    try:
        return f"xllamacpp-{version('xllamacpp')}"
    except PackageNotFoundError:
        return "unknown"


def _llama_command(model: Model, settings: EngineSettings) -> Callable[[int], Sequence[str]]:
    figures = {"parallel": settings.parallel, "ctx": settings.ctx, "batch": settings.batch}
    return lambda port: module_command(
        "orchestratord.embedded.child", model=model.path, name=model.name, port=port, **figures
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    """How one run of the child ended; `ran_s` counts from the moment it was up, None if it never was."""

    code: int
    ran_s: float | None

    def __str__(self) -> str:
        return f"killed by signal {-self.code}" if self.code < 0 else f"exit code {self.code}"


class _Supervisor:
    """Starts the child again and again; `run` never returns once the first start has worked."""

    def __init__(self, model: Model, command: Callable[[int], Sequence[str]], log: EngineLog, report: Report) -> None:
        self._model = model
        self._command = command
        self._log = log
        self._report = report

    async def run(self, task_status: trio.TaskStatus[EmbeddedEngine | EngineUnavailable]) -> None:
        for _ in range(_PORT_ATTEMPTS):
            port = free_port()
            engine = EmbeddedEngine(model=self._model, url=f"http://127.0.0.1:{port}", version=engine_version())
            ended = await self._run_once(port, engine, partial(task_status.started, engine))
            if ended.code != EXIT_PORT_TAKEN:
                break
        if ended.ran_s is None:
            message = f"the embedded engine did not start ({ended})"
            task_status.started(EngineUnavailable(message, log=self._log.tail()))
            return
        await self._bring_back(port, engine, ended)

    async def _bring_back(self, port: int, engine: EmbeddedEngine, ended: _Ended) -> NoReturn:
        delay_s = _BACKOFF_FIRST_S
        while True:
            self._tell(Step.DIED, f"the embedded engine ended ({ended}); it starts again in {delay_s:g} s")
            await trio.sleep(delay_s)
            engine.restarts += 1
            ended = await self._run_once(port, engine)
            delay_s = _BACKOFF_FIRST_S if (ended.ran_s or 0) >= _STABLE_S else min(_BACKOFF_CAP_S, 2 * delay_s)

    async def _run_once(self, port: int, engine: EmbeddedEngine, is_up: Callable[[], object] | None = None) -> _Ended:
        up_at: float | None = None
        async with run_child(self._command(port), self._log) as child:
            if await self._comes_up(child):
                engine.pid, up_at = child.pid, trio.current_time()
                if is_up is not None:
                    is_up()
            code = await child.wait()
        engine.pid = None
        return _Ended(code, None if up_at is None else trio.current_time() - up_at)

    async def _comes_up(self, child: Child) -> bool:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_the_time, began)
            is_up = await child.came_up()
            nursery.cancel_scope.cancel()
        if is_up:
            elapsed_s = trio.current_time() - began
            self._tell(Step.READY, f"the embedded engine is ready after {elapsed_s:.1f} s", elapsed_s)
        return is_up

    async def _tell_the_time(self, began: float) -> None:
        while True:
            elapsed_s = trio.current_time() - began
            self._tell(Step.LOADING, "the embedded engine loads the model", elapsed_s)
            await trio.sleep(_PROGRESS_PERIOD_S)

    def _tell(self, step: Step, human: str, elapsed_s: float | None = None) -> None:
        self._report(Progress(step=step, human=human, elapsed_s=elapsed_s))
