"""A real vLLM server as a child process; run as a script it is the child that keeps it.

vLLM is a tree of processes. The child puts them into a group of their own and ends the group when its standard input
closes, so that none of them can outlive the tests.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import trio

from tests.support.real_llamacpp import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VENV = Path(".venv-vllm")
MODEL = VENV / "tiny-llama"
LOG = VENV / "server.log"
KEY = "key-of-the-real-vllm"
SEATS = 2
READY_WITHIN_S = 300.0
ASK_EVERY_S = 0.5
COMMAND = (
    *(str(VENV / "bin" / "vllm"), "serve", str(MODEL), "--served-model-name", "tiny", "--host", "127.0.0.1"),
    *("--dtype", "bfloat16", "--enforce-eager", "--gpu-memory-utilization", "0.2", "--api-key", KEY),
    *("--max-num-seqs", str(SEATS), "--max-num-queued-reqs", str(SEATS + 1)),
    *("--max-num-batched-tokens", "256", "--no-enable-prefix-caching"),
)
"""Few seats, room for one more, and prompts read in small parts: each can be filled and broken off in a test."""
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class RealVllm:
    """A server that was started; `group` is the process group of all that belongs to it."""

    url: str
    group: int

    async def wait_ready(self, say: Callable[[str], None]) -> None:
        """Wait until the server answers, and say how long it has taken so far."""
        began = trio.current_time()
        with trio.fail_after(READY_WITHIN_S):
            for number in itertools.count():
                if await self.ask("/health") is not None:
                    return
                if number % 20 == 19:
                    say(f"waiting for vLLM since {trio.current_time() - began:.0f} s")
                await trio.sleep(ASK_EVERY_S)

    async def ask(self, path: str) -> str | None:
        """Ask the server behind the adapter's back; None if it does not answer well."""
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as client:
            try:
                reply = await client.get(path)
            except httpx.TransportError:
                return None
        return reply.text if reply.is_success else None

    def kill_engine(self) -> None:
        """End the process that computes, as a crash would; its server is left alone."""
        for process in Path("/proc").glob("[0-9]*"):
            if _title(process).startswith("VLLM::EngineCor") and os.getpgid(int(process.name)) == self.group:
                os.kill(int(process.name), signal.SIGKILL)


@contextmanager
def start_vllm(port: int | None = None) -> Iterator[RealVllm]:
    """Start a server, on a free port by default; leaving ends it and all that belongs to it."""
    port = port or free_port()
    command = [sys.executable, "-m", "tests.real_vllm.server", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            yield RealVllm(f"http://127.0.0.1:{port}", int(keeper.stdout.readline()))
        finally:
            keeper.stdin.close()
            keeper.wait()


def _title(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended meanwhile
        return ""


def _keep(port: str) -> None:
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [*COMMAND, "--port", port],
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as server,
    ):
        print(server.pid, flush=True)  # noqa: T201 - the parent waits for this line
        sys.stdin.read()
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    _keep(sys.argv[1])
