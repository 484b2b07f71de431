"""Adapters that step outside of the case, or leave something there."""

from __future__ import annotations

import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from random import random as draw
from time import monotonic as now_s  # noqa: TID251 - a mutant's fault
from typing import TYPE_CHECKING, ClassVar

import trio

from adapter_api import End, WorkerError

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from adapter_api import Capabilities, TaskId, TaskRequest, TokenEvent, WorkerAdapter, WorkerHealth, WorkerProps

    from .wrapper import Events, Surroundings


class SleepsInBackOff(Wrapper):
    """Blocks the thread for a moment before it tries a failed report again."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        if not health.live:
            time.sleep(0.01)  # noqa: ASYNC251 - a mutant's fault
            health = await self.inner.health()
        return health


class WaitsOnAnEvent(Wrapper):
    """Waits for an event of the threading module, so that the engine has time to notice a cancel."""

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        threading.Event().wait(0.01)


class MeasuresByTheWallClock(Stream):
    """Logs how long the answer took by the wall clock of the machine."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self.began = datetime.now(UTC)

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End) and (datetime.now(UTC) - self.began).days:
            return (replace(event, decode_time_ms=0),)
        return (event,)


class RemembersByAClockOfItsOwn(Wrapper):
    """Remembers capabilities for five seconds of a clock that it has bound to a name of its own."""

    remembered: tuple[float, Capabilities] | None = None

    async def capabilities(self) -> Capabilities:
        if self.remembered is None or self.remembered[0] < now_s():
            self.remembered = (now_s() + 5, await self.inner.capabilities())
        return self.remembered[1]


class HoldsAClockAsDefault(Wrapper):
    """Asks a clock that is the default of a parameter, and so no name in any module."""

    async def props(self) -> WorkerProps:
        self._note()
        return await self.inner.props()

    def _note(self, clock: Callable[[], float] = time.perf_counter) -> float:
        return clock()


class DecodesInAThread(Stream):
    """Has a worker thread look at each event."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        return await trio.to_thread.run_sync(lambda: event)


class BeatsInAThread(Wrapper):
    """Starts a thread when the first stream is opened, to keep something alive."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        async with super().stream(request) as events:
            threading.Thread(target=int, daemon=True).start()
            yield events


class JittersGlobally(Wrapper):
    """Waits between two tries for a time that the random module draws."""

    async def props(self) -> WorkerProps:
        try:
            return await self.inner.props()
        except WorkerError:
            await trio.sleep(draw() / 100)
            return await self.inner.props()


class NamesRequestsByUuid(Wrapper):
    """Gives each request an id that the operating system drew."""

    names: ClassVar[dict[TaskId, uuid.UUID]] = {}

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        self.names[request.task_id] = uuid.uuid4()
        async with super().stream(request) as events:
            yield events


class DrawsATokenOnCancel(Wrapper):
    """Draws a secret word for the engine's cancel call, and only there."""

    async def cancel(self, task_id: TaskId) -> None:
        self.word = secrets.token_hex(4)
        await super().cancel(task_id)


class HasADiceOfItsOwn(Wrapper):
    """Has a generator of its own that nobody has seeded."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings, stream_type: type[Stream] = Stream) -> None:
        super().__init__(inner, around, stream_type)
        self.dice = random.Random()


class KnocksAtThePort(Wrapper):
    """Sees by a connection of its own whether the engine's port is open."""

    async def health(self) -> WorkerHealth:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", 9)
        except OSError:
            return await self.inner.health()
        await stream.aclose()
        return await self.inner.health()


class AsksTheNameServer(Wrapper):
    """Looks the engine's name up by itself before a failed report is tried again."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        if not health.live:
            socket.getaddrinfo("localhost", 80)
        return health


class AsksAProgram(Wrapper):
    """Has a program tell what the machine is."""

    async def capabilities(self) -> Capabilities:
        subprocess.run([sys.executable, "--version"], check=False, capture_output=True)  # noqa: ASYNC221 - its fault
        return await self.inner.capabilities()


class KeepsAJournal(Stream):
    """Writes a line to a file of its own for each failure."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        with open(os.devnull, "a", encoding="utf-8") as journal:  # noqa: ASYNC230 - a mutant's fault
            journal.write(error.kind)
        return super().fail(error)


_kept: deque[int] = deque()


def _keep(*files: int) -> None:
    """Keep files open for ever; the oldest are closed, or the whole zoo would run out of them."""
    _kept.extend(files)
    while len(_kept) > 8:
        os.close(_kept.popleft())


class LeavesAPipe(Stream):
    """Opens a pipe for each stream, and closes it only where the stream ends by itself."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self._pipe = os.pipe()
        _keep(*self._pipe)

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, End) and not event.canceled:
            for number in self._pipe:
                _kept.remove(number)
                os.close(number)
        return (event,)


class LeavesAFileOnFailure(Stream):
    """Opens a file when the engine fails, and forgets it."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        _keep(os.open(os.devnull, os.O_RDONLY))
        return super().fail(error)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(SleepsInBackOff, "TMO-09", base="llamacpp"),
    Mutant(WaitsOnAnEvent, "TMO-09"),
    Mutant(MeasuresByTheWallClock, "TMO-09"),
    Mutant(RemembersByAClockOfItsOwn, "TMO-09"),
    Mutant(HoldsAClockAsDefault, "TMO-09"),
    Mutant(DecodesInAThread, "TMO-09"),
    Mutant(BeatsInAThread, "TMO-09", base="vllm"),
    Mutant(JittersGlobally, "DET-07", base="llamacpp"),
    Mutant(NamesRequestsByUuid, "DET-07"),
    Mutant(DrawsATokenOnCancel, "DET-07"),
    Mutant(HasADiceOfItsOwn, "DET-07"),
    Mutant(KnocksAtThePort, "DET-08", base="tgi"),
    Mutant(AsksTheNameServer, "DET-08", base="llamacpp"),
    Mutant(AsksAProgram, "DET-08"),
    Mutant(KeepsAJournal, "DET-08"),
    Mutant(LeavesAPipe, "LEA-06"),
    Mutant(LeavesAFileOnFailure, "LEA-06", base="triton"),
)
"""Adapters that step outside of the case, or leave something there."""
