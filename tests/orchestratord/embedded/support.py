"""Stand-ins for the engine's process, and ways to watch processes without sleeping."""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from orchestratord.embedded.model import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from orchestratord.embedded.reports import Progress, Step

NO_MODEL = Model(Path("none.gguf"), "sha256:0")
REAL_TIME_GUARD_S = 20

COMES_UP = "print('ready', flush=True); import time; time.sleep(60)"


@dataclass
class Reports:
    """Keeps what the engine tells, and lets a test wait for the n-th report of a kind."""

    seen: list[Progress] = field(default_factory=list)
    _changed: trio.Event = field(default_factory=trio.Event)

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        self._changed.set()
        self._changed = trio.Event()

    def of(self, step: Step) -> list[Progress]:
        return [progress for progress in self.seen if progress.step is step]

    async def wait_for(self, step: Step, times: int = 1) -> Progress:
        with trio.fail_after(REAL_TIME_GUARD_S):
            while len(self.of(step)) < times:
                await self._changed.wait()
        return self.of(step)[times - 1]


def python(code: str) -> Callable[[int], Sequence[str]]:
    """A child that runs `code` in place of llama.cpp."""
    return lambda port: [sys.executable, "-c", code, str(port)]


async def gone(pid: int) -> None:
    """Wait until a process, ours or not, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with trio.fail_after(REAL_TIME_GUARD_S):
            await trio.lowlevel.wait_readable(handle)
    finally:
        os.close(handle)


@asynccontextmanager
async def ended_after(process: trio.Process) -> AsyncIterator[None]:
    """Leave nothing of a process behind, however the block goes."""
    try:
        yield
    finally:
        with trio.move_on_after(REAL_TIME_GUARD_S, shield=True):
            if process.returncode is None:
                process.kill()
                await process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    await stream.aclose()
