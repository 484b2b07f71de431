"""The tutorial's adapter, used as its reader would: installed as a package of its own, proved, and served."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import httpx
import pytest
import trio

from tests.support.real_llamacpp import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "parrot-adapter"
PATIENCE_S = 60


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package is installed, built from a copy: a build leaves nothing in the tree."""
    source = tmp_path_factory.mktemp("source") / "parrot-adapter"
    target = tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLE, source)
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", *install, str(source)]
    subprocess.run(pip, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    return {**os.environ, "PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=EXAMPLE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def configuration(folder: Path, engine: str, address: str) -> Path:
    """Write the example's configuration with other ports."""
    text = (EXAMPLE / "orchestratord.toml").read_text(encoding="utf-8")
    path = folder / "orchestratord.toml"
    path.write_text(text.replace("http://127.0.0.1:9100", engine).replace("127.0.0.1:8080", address), encoding="utf-8")
    return path


async def until_ready(url: str, *, ready: bool) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        while True:
            try:
                if (await client.get("/readyz")).is_success is ready:
                    return
            except httpx.TransportError:
                pass
            await trio.sleep(0.05)


async def answer(url: str, environment: dict[str, str]) -> str:
    words = ["orchestratord", "run", "--url", url, "polly wants a cracker", "--max-tokens", "8", "--seed", "7"]
    done = await trio.run_process([sys.executable, "-m", *words], env=environment, capture_stdout=True)
    return done.stdout.decode()


@pytest.mark.req("ADAPT-3000", "ADAPT-3101")
async def test_the_package_passes_the_kit(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), str(EXAMPLE)]
    with trio.fail_after(2 * PATIENCE_S):
        done = await trio.run_process(command, env=environment, cwd=EXAMPLE, capture_stdout=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.req("AH-1001", "OC-CORE-1030", "ORCH-3038")
async def test_the_daemon_finds_it_and_serves_it(environment: dict[str, str], tmp_path: Path) -> None:
    with started([sys.executable, "parrot_engine.py", "0"], environment) as engine:
        engine_url = cast("IO[str]", engine.stdout).readline().split()[-1]
        address = f"127.0.0.1:{free_port()}"
        path, url = configuration(tmp_path, engine_url, address), f"http://{address}"
        serve = [sys.executable, "-m", "orchestratord", "serve", "--config", str(path)]
        with started(serve, environment) as daemon, trio.fail_after(PATIENCE_S):
            await until_ready(url, ready=True)
            first = await answer(url, environment)
            assert len(first.split()) == 8
            assert set(first.split()) <= {"polly", "wants", "a", "cracker"}
            assert await answer(url, environment) == first
            engine.kill()
            await until_ready(url, ready=False)
            daemon.send_signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(daemon.wait) == 0
