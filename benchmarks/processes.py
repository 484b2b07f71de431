"""Child processes of a benchmark: started with their URL known, watched from outside, always ended.

Children run in a session of their own, so that Ctrl-C reaches the benchmark alone, which then ends them. Those that
read standard input also end when the benchmark is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

STOP_S = 5.0
_ROOT = Path(__file__).parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


class Broken(Exception):
    """A process did not do its part; the text is for the person who started the benchmark."""


def module(name: str, *arguments: str) -> list[str]:
    """Return the command line of one of our modules."""
    return [sys.executable, "-m", name, *arguments]


@contextmanager
def child(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a command; leaving the block ends it, gently at first. Its standard error goes to `log`, or to ours."""
    process = None
    try:
        with nullcontext() if log is None else log.open("w", encoding="utf-8") as stderr, _without_interrupts():
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=_ROOT,
                env=None if env is None else {**env},
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            _stop(process)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Put Ctrl-C off until the block is over: in the middle of a start it would leave a process nobody knows."""
    put_off: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: put_off.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if put_off:
            raise KeyboardInterrupt


def _stop(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line a child prints; raise `Broken` if it ends without one."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise Broken(f"a child process ended without a word: {process.args!r:.200}")
    return line


def cpu_s(pid: int) -> float | None:
    """Return the processor time a process has used; None where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid: int) -> float | None:
    """Return the resident memory of a process in MB (10^6 bytes); None where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS:")), None)
