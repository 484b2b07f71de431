"""Broken reports."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    CancelMode,
    CancelSupport,
    Capabilities,
    PoolUnavailable,
    Started,
    TaskId,
    TaskRequest,
    TokenEvent,
    WorkerHealth,
    WorkerProps,
    Workload,
)

from . import secret_faults
from .animals import Mutant
from .plain.adapter import Models, PlainAdapter, read_models
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager

    from adapter_api import WorkerAdapter

    from .wrapper import Events, Surroundings

log = logging.getLogger("zoo")


class RaisesInHealth(Wrapper):
    """Raises in health() while the engine is not ready."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        if not health.ready:
            raise PoolUnavailable(f"health: {health.detail}")
        return health


class IsAlwaysReady(Wrapper):
    """Reports an engine as ready that only lives."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        return replace(health, ready=health.live)


class GuessesSlots(Wrapper):
    """Reports all slots free, whatever the engine says."""

    async def props(self) -> WorkerProps:
        props = await self.inner.props()
        return replace(props, slots_free=props.slots_total)


class AsksByWorking(Wrapper):
    """Finds the capabilities out by submitting something."""

    async def capabilities(self) -> Capabilities:
        async with self.inner.submit(TaskRequest(task_id=TaskId("probe"), max_tokens=1)) as events:
            await anext(events)
        return await self.inner.capabilities()


class ClaimsOtherwise(Wrapper):
    """Leaves a kind of answer out of its capabilities and serves it all the same."""

    async def capabilities(self) -> Capabilities:
        return replace(await self.inner.capabilities(), workloads=frozenset({Workload.COMPLETION}))


class ClaimsSeeds(Wrapper):
    """Claims that its engine takes a seed, and refuses one."""

    async def capabilities(self) -> Capabilities:
        known = await self.inner.capabilities()
        return replace(known, features=known.features | {"seed"})


class TellsItsOwnVersion(Wrapper):
    """Reports the adapter's version in place of the engine's."""

    async def engine_version(self) -> str:
        await self.inner.engine_version()
        return "adapter-1.0"


class RemembersItsPastLife(Wrapper):
    """Keeps at the class what belongs to one adapter."""

    lives = 0

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        RemembersItsPastLife.lives += 1

    async def capabilities(self) -> Capabilities:
        known = await self.inner.capabilities()
        return replace(known, features=known.features | {f"life-{self.lives}"})


class TellsItsCapabilitiesOnce(Wrapper):
    """Tells its capabilities once, and refuses to tell them again."""

    has_told = False

    async def capabilities(self) -> Capabilities:
        if self.has_told:
            raise PoolUnavailable("capabilities: asked before")
        self.has_told = True
        return await self.inner.capabilities()


class WaitsForTheDead(Wrapper):
    """Waits for ever for the props of an engine that is not there."""

    async def props(self) -> WorkerProps:
        if not (await self.inner.health()).live:
            await trio.sleep_forever()
        return await self.inner.props()


class ChangesItsMind(Wrapper):
    """Claims after its first request that its engine cannot stop."""

    has_worked = False

    @property
    def cancel_support(self) -> CancelSupport:
        return CancelSupport(CancelMode.DRAIN) if self.has_worked else self.inner.cancel_support

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        self.has_worked = True
        return super().submit(request)


class RemembersTheDead(Wrapper):
    """Reports an engine as dead for ever that it has once seen dead."""

    seen_dead: WorkerHealth | None = None

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        if not health.live:
            self.seen_dead = health
        return self.seen_dead or health


class DoubtsAfterTwoDeaths(Wrapper):
    """Gives an engine up that has died twice."""

    deaths = 0
    was_live = True

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        self.deaths += self.was_live and not health.live
        self.was_live = health.live
        return replace(health, ready=False) if self.deaths > 1 else health


class AsksForPropsWithoutEnd(PlainAdapter):
    """Has no bound on its calls for props and capabilities."""

    async def models(self) -> Models:
        status, _, body = await self.get("/models")
        if status != 200:
            raise PoolUnavailable(f"asking for the models: HTTP {status}")
        return read_models(body)


class StopsToAsk(Wrapper):
    """Stops its streams to ask for the capabilities."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.live: set[TaskId] = set()

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        self.live.add(request.task_id)
        return super().submit(request)

    async def capabilities(self) -> Capabilities:
        for task_id in self.live:
            await self.inner.cancel(task_id)
        return await self.inner.capabilities()


class TellsOldProps(Wrapper):
    """Asks for props once and reports them ever after."""

    first: WorkerProps | None = None

    async def props(self) -> WorkerProps:
        self.first = self.first or await self.inner.props()
        return self.first


class TellsPropsOfAnother(Wrapper):
    """Keeps at the class how many slots an engine has."""

    slots: int | None = None

    async def props(self) -> WorkerProps:
        props = await self.inner.props()
        TellsPropsOfAnother.slots = self.slots or props.slots_total
        return replace(props, slots_total=self.slots)


class KeepsTheFirstVersion(Wrapper):
    """Reports the first version that it has heard of ever after."""

    first: str | None = None

    async def engine_version(self) -> str:
        self.first = self.first or await self.inner.engine_version()
        return self.first


class StartsWithTheFirstVersion(Wrapper):
    """Tells in its streams the version of the first one."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around, _OldVersion)
        self.version: str | None = None


class _OldVersion(Stream):
    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        adapter = self.adapter
        if not isinstance(event, Started) or not isinstance(adapter, StartsWithTheFirstVersion):
            return (event,)
        adapter.version = adapter.version or event.engine_version
        return (replace(event, engine_version=adapter.version),)


class CannotStopTheDead(Wrapper):
    """Claims that nothing can be stopped while its engine is dead."""

    is_dead = False

    @property
    def cancel_support(self) -> CancelSupport:
        return CancelSupport(CancelMode.DRAIN) if self.is_dead else self.inner.cancel_support

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        self.is_dead = not health.live
        return health


class TellsNoOthersSeed(Stream):
    """Tells the seeds that it draws itself, and 0 for one that is given."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        is_given = isinstance(event, Started) and self.request.seed is not None
        return (replace(event, seed=0),) if isinstance(event, Started) and is_given else (event,)


MUTANTS = (
    *secret_faults.MUTANTS,
    Mutant(RemembersItsPastLife, "LIF-01"),
    Mutant(RemembersTheDead, "HPC-01"),
    Mutant(DoubtsAfterTwoDeaths, "HPC-01", "vllm"),
    Mutant(RaisesInHealth, "HPC-01"),
    Mutant(IsAlwaysReady, "HPC-01"),
    Mutant(WaitsForTheDead, "HPC-02"),
    Mutant(TellsItsCapabilitiesOnce, "HPC-02"),
    Mutant(AsksForPropsWithoutEnd, "HPC-02", "plain"),
    Mutant(AsksByWorking, "HPC-03"),
    Mutant(StopsToAsk, "HPC-03", "tgi"),
    Mutant(GuessesSlots, "HPC-04"),
    Mutant(TellsOldProps, "HPC-04", "llamacpp"),
    Mutant(TellsPropsOfAnother, "HPC-04"),
    Mutant(ClaimsOtherwise, "HPC-05"),
    Mutant(ClaimsSeeds, "HPC-05", "openai-responses"),
    Mutant(TellsItsOwnVersion, "HPC-06"),
    Mutant(KeepsTheFirstVersion, "HPC-06", "llamacpp"),
    Mutant(StartsWithTheFirstVersion, "HPC-06", "tgi"),
    Mutant(ChangesItsMind, "HPC-07"),
    Mutant(CannotStopTheDead, "HPC-07"),
    Mutant(TellsNoOthersSeed, "DET-01"),
)
