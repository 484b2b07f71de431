"""An adapter of an engine that speaks HTTP in front of its double, in memory and in virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import AdapterContext, PoolId, ReplicaId, load_factory
from conformance.engines.server import ServerDouble
from tests.adapters.rig import SECRET, SERVICE_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from adapter_api import WorkerAdapter

DoubleT = TypeVar("DoubleT", bound=ServerDouble)


def half() -> float:
    """Stand for a random number."""
    return 0.5


@dataclass(frozen=True, slots=True)
class HttpRig(Generic[DoubleT]):
    """An open adapter and the engine behind it."""

    adapter: WorkerAdapter
    double: DoubleT

    async def settle(self) -> None:
        """Give the engine the time in which it notices that a client has left."""
        await trio.sleep(2)
        await wait_all_tasks_blocked()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.double.facts.requests]

    def sent(self, path: str) -> dict[str, object]:
        """Return the body of the last request to `path`."""
        bodies = [seen.body for seen in self.double.facts.requests if seen.path == path]
        return msgspec.json.decode(bodies[-1], type=dict[str, object])


@asynccontextmanager
async def open_http_rig(
    engine: str,
    opened: AbstractAsyncContextManager[DoubleT],
    settings: Mapping[str, object],
    random: Callable[[], float] = half,
) -> AsyncIterator[HttpRig[DoubleT]]:
    async with opened as double:
        context = AdapterContext(
            pool_id=PoolId("pool"),
            replica_id=ReplicaId("r0"),
            random=random,
            dial=double.dial,
            redact=lambda text: text.replace(SECRET, "[masked]").replace(SERVICE_SECRET, "[masked]"),
        )
        async with load_factory(engine).open({"url": double.url, **settings}, context) as adapter:
            yield HttpRig(adapter, double)
