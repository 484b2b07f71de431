"""A host around scripted adapters, with everything it told and a mask for one secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_api import CorrelationId, PoolId, ReplicaId, TaskId, TaskRequest
from adapter_host import AdapterHost, HostedStream

if TYPE_CHECKING:
    from adapter_api import TokenEvent
    from adapter_host import Binding, Note
    from tests.support.scripted import ScriptedAdapter

POOL = PoolId("p")
R0 = ReplicaId("r0")
CANARY = "canary-7f3a91"


def mask(text: str) -> str:
    return text.replace(CANARY, "***")


@dataclass(eq=False, slots=True)
class Bench:
    """A host and what it told."""

    host: AdapterHost
    notes: list[Note]
    binding: Binding

    @property
    def actions(self) -> list[str]:
        return [note.action.value for note in self.notes]

    async def collect(self, wanted: TaskRequest | None = None) -> list[TokenEvent]:
        """Submit and read to the end; an error leaves with what came before it in its notes."""
        async with self.host.submit(POOL, wanted or request()) as stream:
            return [event async for event in stream]


def bench(adapter: ScriptedAdapter) -> Bench:
    notes: list[Note] = []
    host = AdapterHost(observe=notes.append, redact=mask, new_correlation_id=lambda: CorrelationId("made-up"))
    return Bench(host, notes, host.bind(POOL, R0, "scripted", adapter))


def request(task_id: str = "task", **fields: object) -> TaskRequest:
    return TaskRequest(task_id=TaskId(task_id), prompt="words", **fields)  # type: ignore[arg-type]  # named freely


async def read_to(stream: HostedStream, events: list[TokenEvent]) -> None:
    """Append what the stream gives, so that it is known also when the stream fails."""
    async for event in stream:
        events.append(event)  # noqa: PERF401 - what came before a failure is looked at
