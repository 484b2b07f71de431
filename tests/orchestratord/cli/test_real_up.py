"""`up` as a person runs it: the real engine, the real service, real signals."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trio

from tests.orchestratord.embedded.support import ended_after, gone

GUARD_S = 60


@dataclass
class Daemon:
    process: trio.Process
    url: str
    printed: str

    def engine_pid(self) -> int:
        """The daemon's one child."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        (child,) = [pid for thread in threads for pid in (thread / "children").read_text().split()]
        return int(child)


@asynccontextmanager
async def daemon(*flags: str, until: str) -> AsyncIterator[Daemon]:
    command = [sys.executable, "-m", "orchestratord", "up", "--bind", "127.0.0.1:0", *flags]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    async with ended_after(process):
        with trio.fail_after(GUARD_S):
            printed = await read_until(process.stdout, until)
            url = re.search(r"serves the model \S+ at (\S+)\n", printed)
            assert url is not None
            yield Daemon(process, url[1], printed)
            await process.wait()


async def read_until(stream: trio.abc.ReceiveStream, wanted: str) -> str:
    text = ""
    while wanted not in text:
        chunk = await stream.receive_some()
        assert chunk, f"it ended: {text}"
        text += chunk.decode()
    return text


async def run(url: str, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "orchestratord", "run", *arguments, "--url", url]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def another_engine(up: Daemon, killed: int) -> None:
    """Wait until the daemon has started an engine in the place of the one that was killed."""
    while True:
        try:
            if up.engine_pid() != killed:
                return
        except (ValueError, FileNotFoundError):
            pass  # none at this moment
        await trio.sleep(0.05)


async def pool_is(client: httpx.AsyncClient, *, ready: bool) -> None:
    """Wait until the pool says so: another process can only be asked."""
    while (await client.get("/v1/pools/default/health")).json()["ready"] is not ready:  # noqa: ASYNC110
        await trio.sleep(0.05)


@pytest.mark.real
@pytest.mark.req("ORCH-3031", "OC-CORE-1030")
async def test_from_nothing_to_the_same_tokens_twice_and_a_clean_end() -> None:
    async with daemon("--prompt", "The sky is", until="Serving at") as up:
        assert re.search(r"The sky is\S* .*\n\[\d+ tokens", up.printed, re.DOTALL)
        first = await run(up.url, "One two three", "--max-tokens", "12", "--seed", "3")
        second = await run(up.url, "One two three", "--max-tokens", "12", "--seed", "3")
        assert first[0] == 0, first
        assert first[1] == second[1]
        assert first[1].strip()
        engine = up.engine_pid()
        up.process.send_signal(signal.SIGTERM)
    assert up.process.returncode == 0
    await gone(engine)


@pytest.mark.real
async def test_an_engine_that_is_killed_comes_back() -> None:
    async with (
        daemon("--no-sample", until="Or simply") as up,
        httpx.AsyncClient(base_url=up.url, timeout=GUARD_S) as client,
    ):
        await pool_is(client, ready=True)
        killed = up.engine_pid()
        os.kill(killed, signal.SIGKILL)
        await another_engine(up, killed)  # on a quiet machine it is back before the next probe sees the pool unready
        while (await run(up.url, "Hello", "--max-tokens", "3"))[0]:  # noqa: ASYNC110 - a process can only be asked
            await trio.sleep(0.2)
        up.process.send_signal(signal.SIGINT)
    assert up.process.returncode == 0
