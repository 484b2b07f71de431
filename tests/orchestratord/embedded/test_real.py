"""The real llama.cpp server as the child."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio

from orchestratord.embedded.child import EXIT_PORT_TAKEN
from orchestratord.embedded.engine import EngineSettings, open_embedded_engine
from orchestratord.embedded.model import Model, bundled_model
from orchestratord.embedded.process import module_command
from orchestratord.embedded.reports import EngineUnavailable, Step
from tests.orchestratord.embedded.support import REAL_TIME_GUARD_S, Reports, ended_after, gone

pytestmark = pytest.mark.real

DAEMON = """
import trio
from orchestratord.embedded.engine import EngineSettings, open_embedded_engine
from orchestratord.embedded.model import bundled_model
async def main():
    tell = lambda progress: None
    async with open_embedded_engine(await bundled_model(tell), EngineSettings(), tell) as engine:
        print(engine.pid, flush=True)
        await trio.sleep(600)
trio.run(main)
"""


def patient_client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=REAL_TIME_GUARD_S)


async def client_gets(url: str) -> None:
    async with patient_client(url) as client:
        await client.get("/health")


@pytest.fixture
async def model() -> Model:
    return await bundled_model(Reports())


@pytest.mark.req("OC-ADAPT-5001")
async def test_it_serves_slots_and_tokens_and_comes_back_after_a_kill(model: Model, tmp_path: Path) -> None:
    reports = Reports()
    settings = EngineSettings(log_path=tmp_path / "engine.log")
    async with (
        open_embedded_engine(model, settings, reports) as engine,
        httpx.AsyncClient(base_url=engine.url) as client,
    ):
        slots = (await client.get("/slots")).json()
        assert [slot["n_ctx"] for slot in slots] == [2048, 2048]
        answer = await client.post("/completion", json={"prompt": "Hello", "n_predict": 3, "seed": 1})
        assert answer.json()["tokens_predicted"] == 3
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == model.name
        assert (await client.get("/health")).headers["access-control-allow-origin"] == ""
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await reports.wait_for(Step.READY, times=2)
        assert (await client.get("/health")).json() == {"status": "ok"}
    with pytest.raises(httpx.ConnectError):
        await client_gets(engine.url)
    assert (tmp_path / "engine.log").stat().st_size < 4096


async def test_a_file_that_is_not_a_model_ends_in_the_engines_own_words(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(EngineUnavailable, match=r"exit code 97\)\n(.*\n)*.*load"):
        async with open_embedded_engine(Model(tmp_path / "bad.gguf", ""), EngineSettings(), Reports()):
            raise AssertionError("the block was entered")


async def test_a_taken_port_is_told_by_the_exit_code(model: Model) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        figures = {"model": model.path, "name": "m", "port": port, "parallel": 1, "ctx": 64, "batch": 64}
        child = await trio.lowlevel.open_process(
            module_command("orchestratord.embedded.child", **figures), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        async with ended_after(child):
            with trio.fail_after(REAL_TIME_GUARD_S):
                assert await child.wait() == EXIT_PORT_TAKEN


async def test_no_engine_survives_a_killed_daemon() -> None:
    daemon = await trio.lowlevel.open_process([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    async with ended_after(daemon):
        with trio.fail_after(REAL_TIME_GUARD_S):
            engine_pid = int(await daemon.stdout.receive_some())
            os.kill(engine_pid, 0)
            daemon.kill()
            await daemon.wait()
            await gone(engine_pid)
