"""The child process: llama.cpp's own HTTP server, and nothing that outlives the daemon.

Run as `python -m orchestratord.embedded.child`. Standard input is a pipe that the daemon holds open and never writes
to: its end means that the daemon is gone, by whatever way. The kernel is asked to kill this process at that moment,
because loading a model keeps Python itself from running; a thread that reads the pipe does it where the kernel cannot
be asked. (`PR_SET_PDEATHSIG` is of no use: it watches the thread that started the process, and Trio starts processes in
worker threads, which end after ten idle seconds.)

Standard output carries one line, `READY_LINE`, once requests are answered. llama.cpp logs to standard error.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

READY_LINE = "ready"
EXIT_PORT_TAKEN = 98
EXIT_REFUSED = 97

if TYPE_CHECKING:
    from typing import Protocol

    class _Model(Protocol):
        path: str

    class _Threads(Protocol):
        n_threads: int

    class _Params(Protocol):
        """The part of `xllamacpp.CommonParams` that is set here."""

        model: _Model
        model_alias: set[str]
        hostnames: list[str]
        port: int
        n_parallel: int
        n_ctx: int
        n_batch: int
        endpoint_slots: bool
        endpoint_metrics: bool
        endpoint_props: bool
        cpuparams: _Threads
        cache_idle_slots: bool
        cache_ram_mib: int
        cors_origins: str
        ui: bool
        offline: bool
        verbosity: int


_STDIN, _STDOUT, _STDERR = 0, 1, 2
# Decoding threads meet many times a token: with as many as CPUs, one other busy process makes every meeting wait.
# Measured on 2 CPUs, tokens/s: alone 87 with 2 threads and 76 with 1; beside 2 busy processes 6 and 42.
_FEW_CPUS = 4
_WARNINGS = 2  # llama.cpp's own scale; at 3 it writes ten lines a request


def main() -> None:
    """Serve until killed; exits with `EXIT_PORT_TAKEN` or `EXIT_REFUSED` when the server does not come up."""
    options = _parse_options()
    die_with_parent()
    announce = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)  # whatever a library prints belongs to the log
    server = _start_server(options)
    os.write(announce, f"{READY_LINE}\n".encode())
    os.close(announce)
    _serve_forever(server)


def die_with_parent() -> None:
    """Tie this process's life to the pipe on standard input."""
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # which is to end the process
        fcntl.fcntl(_STDIN, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(_STDIN, fcntl.F_SETFL, fcntl.fcntl(_STDIN, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([_STDIN], [], [], 0)[0]:  # the daemon died before the kernel was asked
        os._exit(1)
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    os.read(_STDIN, 1)
    os._exit(1)


def _start_server(options: argparse.Namespace) -> object:
    import xllamacpp  # noqa: PLC0415  # an extra, 100 MB: after the life line is tied

    try:
        return xllamacpp.Server(_params(options, xllamacpp.CommonParams()))
    except RuntimeError:
        sys.exit(EXIT_PORT_TAKEN if _is_taken(options.port) else EXIT_REFUSED)


def _serve_forever(server: object) -> None:
    """Keep `server` alive: its threads do the work, and a signal or the end of the daemon ends it."""
    while server is not None:
        signal.pause()


def _params(options: argparse.Namespace, params: _Params) -> _Params:
    params.model.path = options.model
    params.model_alias = {options.name}
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.ctx * options.parallel  # the server divides it among the slots
    params.n_batch = options.batch  # a cancel takes effect between batches
    params.endpoint_slots = params.endpoint_metrics = params.endpoint_props = True
    if (cpus := _cpus()) <= _FEW_CPUS:
        params.cpuparams.n_threads = max(1, cpus - 1)
    params.cache_idle_slots = False
    params.cache_ram_mib = 0  # no prompt cache beside the slots: it would take up to 8 GiB
    params.cors_origins = ""  # no web page may talk to it
    params.ui = False
    params.offline = True
    params.verbosity = _WARNINGS
    return params


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="orchestratord.embedded.child", description="One llama.cpp server.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--name", required=True)
    for figure in ("port", "parallel", "ctx", "batch"):
        parser.add_argument(f"--{figure}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
