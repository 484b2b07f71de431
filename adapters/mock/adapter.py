"""The mock adapter: the contract of `adapter_api` kept in front of an engine that is only pretended.

It opens no connection and starts no task. `engine` and `facts` are there for tests: the first dies and comes back on
demand, the second tells what the engine has under way.

Implements: ADAPT-3000, ADAPT-3012, ADAPT-3101, ORCH-3058.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, final

import trio

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    PoolUnavailable,
    TaskId,
    TaskRequest,
    TokenEvent,
    WorkerHealth,
    WorkerProps,
)
from http_util.settings import read_settings, settings_schema

from .engine import Facts, MockEngine
from .plan import make_plan
from .run import MockRun
from .settings import MockSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue

_NO_DEADLINE_S = 1e9  # longer than any process lives
_SEEDS = 2**31  # fresh seeds are drawn below it: every engine takes them


@final
class MockAdapter:
    """One mock engine, spoken to."""

    def __init__(self, settings: MockSettings, context: AdapterContext) -> None:
        self._settings = settings
        self._context = context
        self._is_open = True
        self.engine = MockEngine(slots=settings.slots, loading_s=settings.loading_ms / 1000)
        self.facts = Facts(self.engine)

    def __repr__(self) -> str:
        return f"<MockAdapter {self._context.pool_id}/{self._context.replica_id} {self.engine!r}>"

    @property
    def cancel_support(self) -> CancelSupport:
        """The engine has a cancel call."""
        return CancelSupport(CancelMode.ABORT)

    async def health(self) -> WorkerHealth:
        """Report whether the engine is up and has loaded."""
        await trio.lowlevel.checkpoint()
        return self.engine.health

    async def props(self) -> WorkerProps:
        """Report slots and the line before them."""
        await trio.lowlevel.checkpoint()
        return self.engine.props

    async def capabilities(self) -> Capabilities:
        """Report what the settings say."""
        await trio.lowlevel.checkpoint()
        settings = self._settings
        return Capabilities(
            engine="mock",
            engine_version=settings.engine_version,
            model=settings.model,
            model_digest=settings.model_digest,
            ctx_max=settings.ctx_max,
            max_tokens_out=settings.ctx_max,
            concurrency=settings.slots,
            workloads=frozenset(settings.workloads),
            features=frozenset({"cancel", "seed", "stop"}),
        )

    async def engine_version(self) -> str:
        """Report the version from the settings."""
        await trio.lowlevel.checkpoint()
        return self._settings.engine_version

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        """Play the script, or a made-up answer; a full engine makes the first event wait."""
        run = self._open_run(request)
        try:
            yield run
        finally:
            run.leave()
            del self.engine.runs[request.task_id]

    async def cancel(self, task_id: TaskId) -> None:
        """Abort at once; the stream, blocked or not, has only its end left to give."""
        self.engine.abort(task_id)
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Refuse what comes and reset what runs."""
        self._is_open = False
        self.engine.stop()

    def _open_run(self, request: TaskRequest) -> MockRun:
        if not self._is_open:
            raise PoolUnavailable("connect: the adapter is closed", retriable=False)
        self.engine.check_ready()
        if request.task_id in self.engine.runs:
            raise AdapterError("completion: a request with this id is under way")
        settings = self._settings
        fresh_seed = int(self._context.random() * _SEEDS)
        plan = make_plan(request, settings, number=self.engine.submitted, fresh_seed=fresh_seed)
        run = MockRun(
            self.engine,
            plan.steps,
            started=plan.started,
            result=plan.result,
            redact=self._context.redact,
            first_token_s=settings.first_token_ms / 1000,
            idle_s=settings.idle_ms / 1000,
            deadline_s=_deadline_s(request),
        )
        self.engine.runs[request.task_id] = run
        self.engine.submitted += 1
        self.engine.asked.append(replace(request, seed=plan.started.seed))
        return run


def _deadline_s(request: TaskRequest) -> float:
    return trio.current_time() + (_NO_DEADLINE_S if request.deadline_ms is None else request.deadline_ms / 1000)


@final
class MockFactory:
    """Opens mock adapters."""

    engine = "mock"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `MockSettings`."""
        return settings_schema(MockSettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[MockAdapter]:
        """Open a mock engine and its adapter; raise `msgspec.ValidationError` for settings that do not fit."""
        adapter = MockAdapter(read_settings(MockSettings, settings), context)
        try:
            yield adapter
        finally:
            adapter.close()
