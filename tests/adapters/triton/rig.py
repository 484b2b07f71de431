"""The Triton adapter in front of its double, in memory and in virtual time."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import trio
from trio.testing import wait_all_tasks_blocked

from adapter_api import AdapterContext, PoolId, ReplicaId, WorkerAdapter, load_factory
from conformance.engines.triton import TritonDouble, TritonSettings, open_triton
from tests.adapters.rig import SECRET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from conformance.engines.script import Script

NOTHING: Mapping[str, object] = MappingProxyType({})
MODELS = {"classic": "ensemble", "bls": "tensorrt_llm_bls", "llmapi": "tensorrt_llm", "vllm": "vllm_model"}


@dataclass(frozen=True, slots=True)
class TritonRig:
    """An open adapter and the engine behind it; `dialled` are the ports that were connected to."""

    adapter: WorkerAdapter
    double: TritonDouble
    dialled: list[int] = field(default_factory=list)

    async def settle(self) -> None:
        """Give the engine the time in which it notices that a client has left."""
        await trio.sleep(2)
        await wait_all_tasks_blocked()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.double.facts.requests]

    def sent(self, ending: str) -> dict[str, object]:
        """Return the body of the last request to a path with this ending."""
        seen = [each for each in self.double.facts.requests if each.path.endswith(ending)][-1]
        body: dict[str, object] = json.loads(seen.body)
        return body


def context_of(double: TritonDouble) -> AdapterContext:
    return AdapterContext(
        pool_id=PoolId("pool"),
        replica_id=ReplicaId("r0"),
        random=lambda: 0.5,
        dial=double.dial,
        redact=lambda text: text.replace(SECRET, "[masked]"),
    )


def grpc_url(double: TritonDouble) -> str:
    return double.grpc_url.replace("http", "grpc", 1)


@asynccontextmanager
async def open_triton_rig(
    *scripts: Script,
    engine: TritonSettings | None = None,
    permits: Callable[[str, int], bool] = lambda _host, _port: True,
    settings: Mapping[str, object] = NOTHING,
    **more: object,
) -> AsyncIterator[TritonRig]:
    engine = engine or TritonSettings()
    async with open_triton(engine, *scripts) as double:
        dialled: list[int] = []

        async def dial(host: str, port: int) -> trio.abc.Stream:
            dialled.append(port)
            return await double.dial(host, port)

        context = replace(context_of(double), dial=dial, permits=permits)
        given = {
            "url": double.url,
            "grpc_url": grpc_url(double),
            "model": engine.model or MODELS[engine.dialect],
            **settings,
            **more,
        }
        async with load_factory("triton").open(given, context) as adapter:
            yield TritonRig(adapter, double, dialled)
