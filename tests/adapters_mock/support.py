"""How these tests open a mock engine and read a stream to its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import trio

from adapter_api import AdapterContext, PoolId, ReplicaId, Sampling, TaskId, TaskRequest, Workload, load_factory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapter_api import TokenEvent
    from adapters.mock import MockAdapter

Steps = list[dict[str, object]]


@asynccontextmanager
async def open_mock(
    *, redact_word: str = "", fresh: float = 0.5, script: Steps | None = None, **settings: object
) -> AsyncIterator[MockAdapter]:
    context = AdapterContext(
        pool_id=PoolId("pool"),
        replica_id=ReplicaId("replica"),
        random=lambda: fresh,
        redact=lambda text: text.replace(redact_word, "***") if redact_word else text,
    )
    given = settings if script is None else {"script": script, **settings}
    async with load_factory("mock").open(given, context) as adapter:
        yield cast("MockAdapter", adapter)


def request(task_id: str = "task", **fields: object) -> TaskRequest:
    values: dict[str, object] = {"prompt": "Say something", "max_tokens": 64, **fields}
    return TaskRequest(task_id=TaskId(task_id), **values)  # type: ignore[arg-type]  # a test names fields freely


async def collect(adapter: MockAdapter, wanted: TaskRequest) -> list[TokenEvent]:
    async with adapter.submit(wanted) as events:
        return [event async for event in events]


def text_of(events: list[TokenEvent]) -> str:
    return "".join(str(event.data["t"]) for event in events if event.kind == "token")


GREEDY = Sampling(temperature=0.0)
EMBEDDING = Workload.EMBEDDING
RERANK = Workload.RERANK


async def wait_until(moment_s: float) -> None:
    await trio.sleep_until(trio.current_time() + moment_s)
