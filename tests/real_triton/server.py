"""A real `tritonserver` with models that the tests write, as a child process that ends with the tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENVIRONMENT = Path(__file__).parents[2] / ".venv-triton"
MODEL = Path(__file__).with_name("model.py")
START_S = 60.0
STOP_S = 10.0
CLASSIC = {
    "text_input": "STRING",
    "max_tokens": "INT32",
    "stream": "BOOL",
    "stop": "BOOL",
    "seed": "UINT64",
    "temperature": "FP32",
    "top_k": "INT32",
    "return_num_output_tokens": "BOOL",
}
LLM_API = {
    "text_input": "STRING",
    "streaming": "BOOL",
    "stop": "BOOL",
    "sampling_param_max_tokens": "INT32",
    "sampling_param_seed": "UINT64",
    "sampling_param_temperature": "FP32",
    "return_finish_reason": "BOOL",
}
VLLM = {
    "text_input": "STRING",
    "stream": "BOOL",
    "sampling_parameters": "STRING",
    "exclude_input_in_output": "BOOL",
    "return_finish_reason": "BOOL",
    "return_num_output_tokens": "BOOL",
}
TEXT_OUTPUTS = {"text_output": "STRING", "finish_reason": "STRING", "num_output_tokens": "INT32"}
WORDS = ("The", " quick", " bröwn", " fox", " 狐狸", " jumps", " 🦊", ".")
LOOK_S = 0.005
"""How often the model looks whether its request is still wanted."""
_QUEUE_OF_ONE = "dynamic_batching { default_queue_policy { max_queue_size: 1 } }"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the model saw."""

    what: str
    id: str
    at: float
    more: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class RealTriton:
    """A server that is up; `notes` are what the models saw so far."""

    url: str
    grpc_url: str
    metrics_url: str
    log: Path
    process: subprocess.Popen[bytes]

    def notes(self, request_id: str) -> list[Note]:
        found = [Note(**json.loads(line)) for line in self.log.read_text().splitlines()]
        return [note for note in found if note.id == request_id]


def now() -> float:
    """Return the clock that the models write down."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


@contextmanager
def start_triton(folder: Path) -> Iterator[RealTriton]:
    """Start a server with its files in `folder`; leaving ends it."""
    log = folder / "notes.jsonl"
    log.touch()
    models = folder / "models"
    _add_model(models, "classic", log, CLASSIC, TEXT_OUTPUTS)
    _add_model(models, "llmapi", log, LLM_API, TEXT_OUTPUTS)
    _add_model(models, "vllm", log, VLLM, TEXT_OUTPUTS)
    _add_model(models, "whole", log, CLASSIC, TEXT_OUTPUTS, decoupled=False)
    _add_model(models, "busy", log, CLASSIC, TEXT_OUTPUTS, decoupled=False, batch=1, more=_QUEUE_OF_ONE)
    _add_model(models, "embedder", log, {"text_input": "STRING"}, {"embedding": "FP32"}, decoupled=False, batch=8)
    http, grpc, metrics = _free_ports(3)
    with ExitStack() as held:
        output = held.enter_context((folder / "server.log").open("wb"))
        process = held.enter_context(
            subprocess.Popen(
                _command(models, http, grpc, metrics),
                cwd=_site(),
                env=_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        )
        held.callback(_clear_shared_memory, http)
        held.callback(_kill_all, process)
        url = f"http://127.0.0.1:{http}"
        _wait_ready(url, process, folder / "server.log")
        yield RealTriton(url, f"grpc://127.0.0.1:{grpc}", f"http://127.0.0.1:{metrics}", log, process)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """End the server, and what is left of its models' processes if it was killed before."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _shared_memory(http: int) -> str:
    """Return what the names of the shared memory of a server's models begin with."""
    return f"orchestratord_test_{os.getpid()}_{http}_"


def _clear_shared_memory(http: int) -> None:
    """Free what models could not free that were killed."""
    for region in Path("/dev/shm").glob(f"{_shared_memory(http)}*"):
        region.unlink(missing_ok=True)


def _add_model(
    models: Path,
    name: str,
    log: Path,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    decoupled: bool = True,
    batch: int = 0,
    more: str = "",
) -> None:
    given = [_tensor(key, kind, is_optional=key != "text_input") for key, kind in inputs.items()]
    got = [_tensor(key, kind, dims=-1 if kind == "FP32" else 1) for key, kind in outputs.items()]
    told = {"log": str(log), "look_s": str(LOOK_S), "words": json.dumps(WORDS)}
    (models / name / "1").mkdir(parents=True)
    shutil.copy(MODEL, models / name / "1" / "model.py")
    (models / name / "config.pbtxt").write_text(
        f'name: "{name}"\nbackend: "python"\nmax_batch_size: {batch}\n'
        f"model_transaction_policy {{ decoupled: {str(decoupled).lower()} }}\n"
        f"input [{', '.join(given)}]\noutput [{', '.join(got)}]\n"
        "instance_group [{ kind: KIND_CPU count: 1 }]\n"
        f"{''.join(_parameter(key, value) for key, value in told.items())}{more}\n"
    )


def _tensor(name: str, kind: str, *, dims: int = 1, is_optional: bool = False) -> str:
    optional = " optional: true" if is_optional else ""
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [{dims}]{optional} }}'


def _parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: {json.dumps(value)} }} }}\n'


def _site() -> Path:
    (site,) = ENVIRONMENT.glob("lib/python3.*/site-packages")
    return site


def _command(models: Path, http: int, grpc: int, metrics: int) -> list[str]:
    server = _site() / "pytriton" / "tritonserver"
    options = {
        "model-repository": models,
        "backend-directory": server / "backends",
        "http-port": http,
        "grpc-port": grpc,
        "metrics-port": metrics,
        "http-address": "127.0.0.1",
        "grpc-address": "127.0.0.1",
        "metrics-address": "127.0.0.1",
        "metrics-interval-ms": 100,
        "exit-timeout-secs": 1,
        "backend-config": f"python,shm-region-prefix-name={_shared_memory(http)}",
    }
    return [str(server / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in options.items())]


def _environment() -> dict[str, str]:
    """Return an environment in which the server's Python is the one of `.venv-triton`.

    The backend's own search path has the working folder first and no environments at all: started in the folder with
    NumPy in it, the backend finds the version that fits before any other.
    """
    base = dict(line.split(" = ", 1) for line in (ENVIRONMENT / "pyvenv.cfg").read_text().splitlines())
    prefix = Path(base["home"]).parent
    server = _site() / "pytriton" / "tritonserver"
    libraries = [_site() / "nvidia_pytriton.libs", server / "external_libs", server / "bin", prefix / "lib"]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PYTHONHOME": str(prefix),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = now() + START_S
    while now() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/v2/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"tritonserver did not start:\n{log.read_text(errors='replace')[-2000:]}")
