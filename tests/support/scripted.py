"""An adapter that does what a test wrote down, well or badly, and remembers what was done to it.

A stream is a list of steps: an event is given, a number is slept, an error is raised, a `trio.Event` is waited for,
`CHECKPOINTS(n)` are n checkpoints. `ScriptedAdapter.live` holds the tasks whose connection is open.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from adapter_api import (
    CancelMode,
    CancelSupport,
    Capabilities,
    End,
    Failed,
    Metrics,
    Started,
    TaskId,
    TaskRequest,
    Token,
    TokenEvent,
    WorkerHealth,
    WorkerProps,
    Workload,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from adapter_api import AdapterContext, JsonValue, WorkerError

TICK = 2.0**-10
"""Every time in these tests is a multiple of this many seconds, so that ties are ties and not nearly so."""


READY = WorkerHealth(live=True, ready=True)


@dataclass(frozen=True, slots=True)
class CHECKPOINTS:
    """So many checkpoints, each of which lets every other task run."""

    count: int


Step = TokenEvent | float | BaseException | trio.Event | CHECKPOINTS


def answer(*texts: str, gap_s: float = 0.0) -> list[Step]:
    """Return a whole, legal stream with a pause before each token."""
    steps: list[Step] = [Started(engine_version="1.0")]
    for at, text in enumerate(texts):
        steps += [gap_s, Token(text, at)] if gap_s else [Token(text, at)]
    return [*steps, End(tokens_out=len(texts), decode_time_ms=1)]


async def perform(step: float | BaseException | trio.Event | CHECKPOINTS) -> None:
    """Do a step that is not an event."""
    match step:
        case BaseException():
            raise step
        case trio.Event():
            await step.wait()
        case CHECKPOINTS():
            for _ in range(step.count):
                await trio.lowlevel.checkpoint()
        case _:
            await trio.sleep(step)


class Script:
    """An iterator over the events of some steps; it stops when they are used up."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)
        self._error: WorkerError | None = None
        self._step = trio.CancelScope()

    def __aiter__(self) -> Script:
        return self

    @property
    def is_played(self) -> bool:
        """Whether nothing is left of it."""
        return not self._steps

    def fail(self, error: WorkerError) -> None:
        """Break the stream where it stands: a step under way is given up, and the reader gets the error."""
        self._error = error
        self._step.cancel()

    async def __anext__(self) -> TokenEvent:
        self._step = trio.CancelScope()
        if self._error is not None:
            self._step.cancel()
        with self._step:
            await trio.lowlevel.checkpoint()
            while self._steps:
                step = self._steps[0]
                if isinstance(step, Started | Token | Metrics | End | Failed):
                    return self._steps.pop(0)  # type: ignore[return-value]  # it is the step just looked at
                await perform(step)
                self._steps.pop(0)
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration


@dataclass(eq=False, slots=True, kw_only=True)
class ScriptedAdapter:
    """One engine whose every answer is written down.

    `streams` are played in turn, the last one again and again. `entry` and `exit` are steps before the stream and
    after it. The slot report, unless `tells_slots` is false, counts a task as busy for `linger_s` after its connection
    was closed under it.
    """

    streams: Sequence[Sequence[Step]] = field(default_factory=lambda: [answer("a", "b")])
    entry: Sequence[Step] = ()
    exit: Sequence[Step] = ()
    slots: int = 1
    tells_slots: bool = True
    linger_s: float = 0.0
    version: str = "1.0"
    health_report: WorkerHealth = READY
    props_error: WorkerError | None = None
    cancel_steps: Sequence[Step] = ()
    workloads: frozenset[Workload] = frozenset({Workload.COMPLETION})
    requests: list[TaskRequest] = field(default_factory=list)
    live: dict[TaskId, None] = field(default_factory=dict)
    scripts: dict[TaskId, Script] = field(default_factory=dict)
    canceled: list[TaskId] = field(default_factory=list)
    held_until: dict[TaskId, float] = field(default_factory=dict)

    cancel_support = CancelSupport(CancelMode.CLOSE)

    async def health(self) -> WorkerHealth:
        await trio.lowlevel.checkpoint()
        return self.health_report

    async def props(self) -> WorkerProps:
        await trio.lowlevel.checkpoint()
        if self.props_error is not None:
            raise self.props_error
        if not self.tells_slots:
            return WorkerProps()
        return WorkerProps(slots_total=self.slots, slots_free=self.slots - self.engine_busy)

    async def capabilities(self) -> Capabilities:
        await trio.lowlevel.checkpoint()
        return Capabilities(
            engine="scripted",
            engine_version=self.version,
            model="m",
            ctx_max=4096,
            concurrency=self.slots,
            workloads=self.workloads,
        )

    async def engine_version(self) -> str:
        await trio.lowlevel.checkpoint()
        return self.version

    @property
    def engine_busy(self) -> int:
        """How many requests the engine works on, connected or not yet given up."""
        now = trio.current_time()
        return len(self.live) + sum(until > now for until in self.held_until.values())

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
        number = len(self.requests)
        self.requests.append(request)
        self.live[request.task_id] = None
        script = Script(self.streams[min(number, len(self.streams) - 1)])
        self.scripts[request.task_id] = script
        try:
            for step in self.entry:
                assert not isinstance(step, Started | Token | Metrics | End | Failed)
                await perform(step)
            yield script
        finally:
            self.live.pop(request.task_id, None)
            if not script.is_played:
                self.held_until[request.task_id] = trio.current_time() + self.linger_s
            for step in self.exit:
                assert not isinstance(step, Started | Token | Metrics | End | Failed)
                with trio.CancelScope(shield=True):
                    await perform(step)

    async def cancel(self, task_id: TaskId) -> None:
        self.canceled.append(task_id)
        for step in self.cancel_steps:
            assert not isinstance(step, Started | Token | Metrics | End | Failed)
            await perform(step)
        await trio.lowlevel.checkpoint()


@dataclass(frozen=True, slots=True)
class ScriptedFactory:
    """Hands out adapters that exist already."""

    engine: str
    adapters: Callable[[AdapterContext], ScriptedAdapter]
    settings_schema: Mapping[str, JsonValue] = field(default_factory=lambda: {"type": "object", "properties": {}})

    def open(
        self, settings: Mapping[str, object], context: AdapterContext
    ) -> AbstractAsyncContextManager[ScriptedAdapter]:
        return self._open(context)

    @asynccontextmanager
    async def _open(self, context: AdapterContext) -> AsyncGenerator[ScriptedAdapter, None]:
        yield self.adapters(context)
