"""The Parrot adapter: which call is made when."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from adapter_api import (
    AdapterError,
    CancelMode,
    CancelSupport,
    Capabilities,
    Started,
    WorkerError,
    WorkerHealth,
    WorkerProps,
    Workload,
)
from http_util.engine import correlation, drawn_seed, ill_health, json_as, open_engine, until
from http_util.live import LiveStreams
from http_util.remembered import Remembered
from http_util.settings import EngineSettings, read_settings, settings_schema

from .wire import RULES, Awake, Reading, speech

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from adapter_api import AdapterContext, JsonValue, TaskId, TaskRequest, TokenEvent
    from http_util.engine import Engine
    from http_util.stream import EventStream


class ParrotFactory:
    """Opens parrot adapters."""

    engine = "parrot"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """What the adapter can be told; every engine with an HTTP address can be told this much."""
        return settings_schema(EngineSettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[ParrotAdapter]:
        """Open an adapter; the parrot need not be awake."""
        given = read_settings(EngineSettings, settings)
        async with open_engine(given, context, rules=RULES) as engine:
            yield ParrotAdapter(engine)


class ParrotAdapter:
    """One parrot, spoken to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._live = LiveStreams()
        self._awake = Remembered(self._ask)

    @property
    def cancel_support(self) -> CancelSupport:
        """A parrot falls silent when nobody listens any more."""
        return CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        """Ask whether it is awake, once; a parrot that sleeps or is gone is a report, not an error."""
        try:
            await self._engine.report("/awake", bytes, retry=None)
        except WorkerError as failure:
            self._awake.doubt()
            return ill_health(failure)
        await self._awake.known()
        return WorkerHealth(live=True, ready=True)

    async def props(self) -> WorkerProps:
        """Ask how many perches there are, and how many are free."""
        awake = await self._awake.learn()
        return WorkerProps(slots_total=awake.perches, slots_free=max(0, awake.perches - awake.busy))

    async def capabilities(self) -> Capabilities:
        """Ask what it is and how much it remembers."""
        awake = await self._awake.learn()
        return Capabilities(
            engine="parrot",
            engine_version=awake.parrot,
            model=awake.name,
            ctx_max=awake.memory,
            concurrency=awake.perches,
            features=frozenset({"cancel", "chat", "seed"}),
        )

    async def engine_version(self) -> str:
        """Ask for its version."""
        return (await self._awake.learn()).parrot

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Have it repeat the prompt; see `WorkerAdapter.submit`."""
        seed = drawn_seed(self._engine.context.random()) if request.seed is None else request.seed
        reading = Reading(partial(self._started, request, seed), self._engine.failure_in_stream)
        return self._live.stream(request.task_id, self._speech(request, seed, reading), reading)

    async def cancel(self, task_id: TaskId) -> None:
        """Close the connection of a request; see `WorkerAdapter.cancel`."""
        await self._live.cancel(task_id)

    @asynccontextmanager
    async def _speech(self, request: TaskRequest, seed: int, reading: Reading) -> AsyncIterator[EventStream]:
        if request.workload is not Workload.COMPLETION:
            raise AdapterError(f"{request.workload.value}: a parrot can only speak", blames_request=True)
        ends_at = self._engine.ends_at(request)
        with until(ends_at, "completion"):
            await self._awake.known()
        body = speech(request, seed)
        try:
            async with self._engine.events("/speak", body, ends_at=ends_at, headers=correlation(request)) as events:
                yield events
        finally:
            if not reading.is_over:
                self._awake.doubt()  # another parrot may sit there from now on

    def _started(self, request: TaskRequest, seed: int) -> Started:
        awake = self._awake.value
        return Started(
            engine_version=None if awake is None else awake.parrot,
            sampler_profile_version=request.sampler_profile_version,
            seed=seed,
        )

    async def _ask(self) -> Awake:
        return await self._engine.report("/awake", json_as(Awake))
