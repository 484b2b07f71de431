"""The OpenAI adapter in front of its double, in memory and in virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import AdapterContext, PoolId, ReplicaId, load_factory
from conformance.engines.openai import OpenAiDouble, OpenAiSettings, open_openai
from tests.adapters.rig import SECRET, SERVICE_SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from adapter_api import WorkerAdapter
    from conformance.engines.host import Link
    from conformance.engines.script import Script

PLAIN = OpenAiSettings(fingerprint=None)


@dataclass(frozen=True, slots=True)
class Rig:
    """An open adapter and the engine behind it."""

    adapter: WorkerAdapter
    double: OpenAiDouble

    async def settle(self) -> None:
        """Give the engine the time in which it notices that a client has left."""
        await trio.sleep(2)
        await wait_all_tasks_blocked()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.double.facts.requests]

    def sent(self, path: str) -> dict[str, object]:
        """Return the body of the last request to `path`."""
        seen = [each for each in self.double.facts.requests if each.path == path][-1]
        body: dict[str, object] = msgspec.json.decode(seen.body)
        return body


@asynccontextmanager
async def open_rig(
    *scripts: Script,
    engine: OpenAiSettings | None = None,
    link: Link | None = None,
    random: Callable[[], float] = lambda: 0.5,
    **settings: object,
) -> AsyncIterator[Rig]:
    async with open_openai(engine, *scripts, link=link) as double:
        context = AdapterContext(
            pool_id=PoolId("pool"),
            replica_id=ReplicaId("r0"),
            random=random,
            dial=double.dial,
            redact=lambda text: text.replace(SECRET, "[masked]").replace(SERVICE_SECRET, "[masked]"),
        )
        async with load_factory("openai").open({"url": double.url, **settings}, context) as adapter:
            yield Rig(adapter, double)
