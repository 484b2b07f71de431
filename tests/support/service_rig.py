"""The service without HTTP: configuration, host, pools and dispatcher around scripted adapters, and readers of frames.

`open_rig` probes every pool once, so that it starts ready; no prober runs unless a test starts one.
"""

from __future__ import annotations

import io
import json
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio
from prometheus_client.parser import text_string_to_metric_families

from adapter_api import CorrelationId, PoolId, ReplicaId, SessionId, TaskId, TaskRequest
from adapter_host import AdapterHost
from http_util.redaction import Redactor
from orchestratord.config import Config, config_from
from orchestratord.core.placement import Placement
from orchestratord.core.queue import Priority
from orchestratord.runtime.dispatcher import Dispatcher
from orchestratord.runtime.history import History
from orchestratord.runtime.pool import Pool
from orchestratord.runtime.probe import Prober
from orchestratord.runtime.run import Runner
from orchestratord.runtime.task import Order
from orchestratord.telemetry import Metrics, Telemetry, open_log

from .scripted import ScriptedAdapter, ScriptedFactory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from prometheus_client.samples import Sample

    from orchestratord.runtime.framelog import Reader
    from orchestratord.runtime.task import Task

POOL = PoolId("p")
CORRELATION = CorrelationId("corr-1")
ANYWHERE = Placement()


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame as a client reads it."""

    id: int
    event: str
    data: dict[str, object]


@dataclass(eq=False, slots=True)
class Rig:
    """A service in memory and what it is made of."""

    config: Config
    adapters: Sequence[ScriptedAdapter]
    host: AdapterHost
    dispatcher: Dispatcher
    history: History
    telemetry: Telemetry
    prober: Prober
    log: io.StringIO
    nursery: trio.Nursery
    cut_off: list[TaskId] = field(default_factory=list)

    @property
    def pool(self) -> Pool:
        return self.dispatcher.pools[POOL]

    def admit(self, order: Order | None = None) -> Task:
        """Admit a task and return its record."""
        order = new_order() if order is None else order
        self.dispatcher.admit(order)
        return self.dispatcher.find(order.request.task_id)

    def attach(self, task: Task, after: int = 0) -> Reader:
        return self.dispatcher.attach(task, after, lambda: self.cut_off.append(task.task_id))

    async def read(self, task: Task, after: int = 0) -> list[Seen]:
        """Read a task's stream to its end."""
        reader = self.attach(task, after)
        frames: list[Seen] = []
        try:
            while (batch := await reader.next_batch()) is not None:
                frames += decode(batch)
        finally:
            self.dispatcher.detach(task, reader)
        return frames

    def lines(self) -> list[dict[str, object]]:
        """Return the log so far, one object a line."""
        return [json.loads(line) for line in self.log.getvalue().split("\n") if line]

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels; a sample that is not there counts as 0."""
        return metric(self.samples(), name, **labels)

    def samples(self) -> list[Sample]:
        """Return every sample of the exposition."""
        text = self.telemetry.exposition(self.dispatcher.pools.values()).decode()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def metric(samples: Sequence[Sample], name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


def decode(batch: bytes) -> list[Seen]:
    """Take apart frames in the form that the service writes, and in no other."""
    assert batch.endswith(b"\n\n")
    frames = []
    for text in batch.decode()[:-2].split("\n\n"):
        first, second, third = text.split("\n")
        assert (first[:4], second[:7], third[:6]) == ("id: ", "event: ", "data: ")
        frames.append(Seen(int(first[4:]), second[7:], json.loads(third[6:])))
    return frames


def frames_of(task: Task) -> list[Seen]:
    """Return every frame of a task's log."""
    return [seen for frame in task.log.frames for seen in decode(frame)]


def new_order(
    *,
    prompt: str = "Say something",
    priority: Priority = Priority.INTERACTIVE,
    deadline_ms: int = 60_000,
    task_id: str = "",
    session_id: str = "session",
    digest: bytes = b"",
    engine: str = "scripted",
    placement: Placement = ANYWHERE,
    **fields: object,
) -> Order:
    """Return a validated order for the default pool."""
    asked: dict[str, object] = {"model_ref": "m", "max_tokens": 16, **fields}
    request = TaskRequest(
        task_id=TaskId(task_id or str(uuid.uuid4())),
        session_id=SessionId(session_id),
        correlation_id=CORRELATION,
        prompt=prompt,
        **asked,  # type: ignore[arg-type]  # a test names fields freely
    )
    return Order(
        request=request,
        engine=engine,
        priority=priority,
        ctx=1024,
        deadline_ms=deadline_ms,
        placement=placement,
        digest=digest,
    )


def rig_config(replicas: int = 1, **tables: Mapping[str, object]) -> Config:
    """Return a configuration with one pool; `pool`, `queue`, `stream`, `history` and `log` override its tables."""
    pool: dict[str, object] = {
        "id": POOL,
        "engine": "scripted",
        "model_ref": "m",
        "default": True,
        "replicas": [{"id": f"r{n}", "settings": {}} for n in range(replicas)],
        "queue": dict(tables.get("queue", {})),
        **tables.get("pool", {}),
    }
    log = {"format": "json", "level": "debug", **tables.get("log", {})}
    whole = {"stream": dict(tables.get("stream", {})), "history": dict(tables.get("history", {})), "log": log}
    factory = ScriptedFactory("scripted", lambda _: ScriptedAdapter())
    return config_from({**whole, "pools": [pool]}, factories=lambda _: factory)


@asynccontextmanager
async def open_rig(
    *adapters: ScriptedAdapter, secrets: Sequence[str] = (), **tables: Mapping[str, object]
) -> AsyncGenerator[Rig, None]:
    """Open a service whose pool has one replica for each adapter; leaving the block cancels what still runs."""
    adapters = adapters or (ScriptedAdapter(),)
    config = rig_config(len(adapters), **tables)
    redactor = Redactor(values=secrets)
    out = io.StringIO()
    log = open_log(config.log, redactor.mapping, out)
    telemetry = Telemetry(log, Metrics(), redactor.text, log_prompts=config.log.prompts)
    host = AdapterHost(
        observe=telemetry.host_note,
        redact=redactor.text,
        new_correlation_id=lambda: CorrelationId("made-up"),
        policies={POOL: config.pools[0].policy},
        random01=lambda: 1.0,
    )
    pools = {POOL: Pool(config.pools[0], partial(host.breaker, POOL))}
    for n, adapter in enumerate(adapters):
        host.bind(POOL, ReplicaId(f"r{n}"), "scripted", adapter)
    prober = Prober(host, telemetry)
    for replica in pools[POOL].replicas.values():
        await prober.look(pools[POOL], replica)
    history = History(config.history)
    async with trio.open_nursery() as nursery:
        dispatcher = Dispatcher(
            nursery=nursery,
            pools=pools,
            history=history,
            runner=Runner(host, config.stream, telemetry),
            stream=config.stream,
            telemetry=telemetry,
        )
        yield Rig(config, adapters, host, dispatcher, history, telemetry, prober, out, nursery)
        nursery.cancel_scope.cancel()
