"""The llama.cpp adapter in front of its double, in memory and in virtual time."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import (
    AdapterContext,
    EventKind,
    FrameOrder,
    PoolId,
    ReplicaId,
    TaskId,
    TaskRequest,
    Token,
    TokenEvent,
    WorkerAdapter,
    WorkerError,
    load_factory,
)
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings, open_llamacpp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from conformance.engines.host import Link
    from conformance.engines.script import Script

SECRET = "sk-canary-0123456789abcdef"
SERVICE_SECRET = "a word that only the service knows for a secret"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Rig:
    """An open adapter and the engine behind it."""

    adapter: WorkerAdapter
    double: LlamaCppDouble

    async def settle(self) -> None:
        """Give the engine the time in which it notices that a client has left."""
        await trio.sleep(2)
        await wait_all_tasks_blocked()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.double.facts.requests]


@asynccontextmanager
async def open_rig(
    *scripts: Script,
    engine: LlamaSettings | None = None,
    link: Link | None = None,
    random: Callable[[], float] = lambda: 0.5,
    **settings: object,
) -> AsyncIterator[Rig]:
    async with open_llamacpp(engine, *scripts, link=link) as double:
        context = AdapterContext(
            pool_id=PoolId("pool"),
            replica_id=ReplicaId("r0"),
            random=random,
            dial=double.dial,
            redact=lambda text: text.replace(SECRET, "[masked]").replace(SERVICE_SECRET, "[masked]"),
        )
        async with load_factory("llamacpp").open({"url": double.url, **settings}, context) as adapter:
            yield Rig(adapter, double)


def request(prompt: str = "Hi", **fields: object) -> TaskRequest:
    values = {"task_id": TaskId(f"task-{next(_numbers)}"), "prompt": prompt, **fields}
    return TaskRequest(**values)  # type: ignore[arg-type]  # tests name any field they like


@dataclass(slots=True)
class Outcome:
    """What one stream gave, in order, and how it ended; every event has passed the order machine."""

    events: list[TokenEvent] = field(default_factory=list)
    error: WorkerError | None = None
    order: FrameOrder = field(default_factory=FrameOrder)

    @property
    def text(self) -> str:
        return "".join(event.t for event in self.events if isinstance(event, Token))

    @property
    def kinds(self) -> list[str]:
        """What came, without `metrics`: how often the engine reports on its reading is its own affair."""
        return [event.kind.value for event in self.events if event.kind is not EventKind.METRICS]


async def read(adapter: WorkerAdapter, task: TaskRequest, outcome: Outcome | None = None) -> Outcome:
    """Submit and read to the end, whatever end that is."""
    outcome = Outcome() if outcome is None else outcome
    try:
        async with adapter.submit(task) as events:
            async for event in events:
                outcome.order.accept(event)
                outcome.events.append(event)
    except WorkerError as error:
        outcome.error = error
    return outcome
