"""One run of the child: start it, see it come up, see it end, and leave nothing behind.

The block owns the process: leaving it, by whatever way, asks the child to stop, waits a bounded time and kills it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from .child import READY_LINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from .log import EngineLog

STOP_GRACE_S = 2.0
_CREDENTIAL_NAME = re.compile(r"key|token|secret|passw|auth|cred", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that runs."""

    process: trio.Process

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    async def came_up(self) -> bool:
        """Wait until it says that it answers requests; False if it ended before it did."""
        stdout = self.process.stdout
        assert stdout is not None
        unfinished = b""
        async for chunk in stdout:
            *lines, unfinished = (unfinished + chunk).split(b"\n")
            if READY_LINE.encode() in lines:
                return True
        await self.process.wait()
        return False

    async def wait(self) -> int:
        """Wait for the end; returns the exit code, negative for a signal."""
        return await self.process.wait()


@asynccontextmanager
async def run_child(command: Sequence[str], log: EngineLog) -> AsyncIterator[Child]:
    """Run `command` with its life tied to this block; its standard error goes to `log`.

    It gets a session of its own, so that Ctrl-C in the terminal reaches the daemon alone, which drains first, and an
    environment without credentials.
    """
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=without_credentials(os.environ),
    )
    try:
        async with trio.open_nursery() as nursery:
            assert process.stderr is not None
            nursery.start_soon(log.pump, process.stderr)
            yield Child(process)
            nursery.cancel_scope.cancel()
    finally:
        with trio.move_on_after(2 * STOP_GRACE_S, shield=True):
            await _stop(process)


def module_command(module: str, **options: object) -> list[str]:
    """The command line that runs a module of this project with this interpreter."""
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-m", module, *flags]


def without_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, less every variable whose name says that it holds a credential."""
    return {name: value for name, value in environ.items() if not _CREDENTIAL_NAME.search(name)}


async def _stop(process: trio.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with trio.move_on_after(STOP_GRACE_S):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()
