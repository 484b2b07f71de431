"""The relays that are compared, each in a process of its own in front of the same engine."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from .processes import Broken, child, first_line, module

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

READY_S = 30.0
_CONFIG = """\
[server]
bind = "127.0.0.1:{port}"
[log]
level = "error"
format = "json"
[[pools]]
id = "benchmark"
engine = "llamacpp"
model_ref = "benchmark"
default = true
concurrency = 4096
slot_release_grace_ms = 200
[pools.queue]
capacity = 4096
[[pools.replicas]]
[pools.replicas.settings]
url = "{engine}"
"""
_NGINX = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass {engine};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running relay, or the engine itself (`pid` None). `surface` and `frames` are those of `client.Job`."""

    name: str
    url: str
    pid: int | None
    surface: Literal["tasks", "completion"] = "completion"
    frames: Literal["ours", "engine"] = "engine"


@contextmanager
def engine() -> Iterator[str]:
    """Run the engine and yield its URL."""
    with child(module("benchmarks.engine")) as process:
        yield first_line(process)


@contextmanager
def naive(engine_url: str) -> Iterator[Contestant]:
    """Run the naive relay."""
    with child(module("benchmarks.naive", engine_url)) as process:
        yield Contestant("naive", first_line(process), process.pid, frames="ours")


@contextmanager
def nginx(engine_url: str, binary: str) -> Iterator[Contestant]:
    """Run nginx, unbuffered, with one worker."""
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        port = _free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(_NGINX.format(folder=folder, port=port, engine=engine_url), encoding="utf-8")
        with child([binary, "-c", str(config), "-p", folder], log=Path(folder, "log")) as process:
            _wait_ready(process, port, "/health", Path(folder, "log"))
            yield Contestant("nginx", f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def orchestratord(engine_url: str) -> Iterator[Contestant]:
    """Run the daemon as an operator does: `serve --config`, its defaults, one llama.cpp pool."""
    with tempfile.TemporaryDirectory(prefix="bench-orchestratord-") as folder:
        port = _free_port()
        config, log = Path(folder, "config.toml"), Path(folder, "log")
        config.write_text(_CONFIG.format(port=port, engine=engine_url), encoding="utf-8")
        command = module("orchestratord", "serve", "--config", str(config))
        with child(command, env=_own_environment(), log=log) as process:
            _wait_ready(process, port, "/readyz", log)
            yield Contestant("orchestratord", f"http://127.0.0.1:{port}", process.pid, "tasks", "ours")


def nginx_binary() -> str | None:
    """Return where nginx is, if it is."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _own_environment() -> dict[str, str]:
    """Return the environment without what would change the daemon's configuration."""
    settings = ("ORCHD_", "AUTH_", "BIND_ADDR", "TRUST_PROXY_AUTH", "CANCEL_ON_DISCONNECT")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(process: subprocess.Popen[str], port: int, path: str, log: Path) -> None:
    """Wait until a GET is answered with 200; a process that we only see from outside has to be asked again."""
    give_up_at = perf_counter() + READY_S
    while perf_counter() < give_up_at and process.poll() is None:
        if _answers(port, path):
            return
        sleep(0.05)
    raise Broken(f"{path} of {urlsplit(str(log)).path} was not answered: {log.read_text('utf-8')[-600:]}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()
