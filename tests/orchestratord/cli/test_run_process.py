"""The command as a process: signals, pipes and exit codes."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.orchestratord.cli.fake_daemon import END, STARTED, WAIT, FakeDaemon, token
from tests.orchestratord.embedded.support import ended_after

GUARD_S = 20


@asynccontextmanager
async def running(*arguments: str, url: str, stdin: int = subprocess.DEVNULL) -> AsyncIterator[trio.Process]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "orchestratord", "run", *arguments, "--url", url],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with ended_after(process):
        with trio.fail_after(GUARD_S):
            yield process
            await process.wait()


async def read_all(stream: trio.abc.ReceiveStream | None) -> bytes:
    assert stream is not None
    return b"".join([bytes(chunk) async for chunk in stream])


@pytest.mark.req("SSE-1003")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_the_task_on_the_server(signum: signal.Signals) -> None:
    daemon = FakeDaemon([STARTED, token("half")], holds=True)
    async with daemon.on_loopback() as url:
        async with running("Hello", url=url) as process:
            assert process.stdout is not None
            assert await process.stdout.receive_some() == b"half"
            process.send_signal(signum)
            assert await read_all(process.stdout) == b"\n"
            assert await read_all(process.stderr) == b""
        assert process.returncode == 130
        assert daemon.cancels == 1


async def test_a_reader_that_goes_away_cancels_the_task_on_the_server() -> None:
    daemon = FakeDaemon([STARTED, token("x"), WAIT, token("y", 1)], holds=True)
    async with daemon.on_loopback() as url:
        async with running("Hello", url=url) as process:
            assert process.stdout is not None
            assert await process.stdout.receive_some() == b"x"
            await process.stdout.aclose()
            daemon.goes_on.set()
            assert await read_all(process.stderr) == b""
        assert process.returncode == 141
        assert daemon.cancels == 1


async def test_done_is_zero_and_failed_is_one() -> None:
    daemon = FakeDaemon([STARTED, token("Hi"), END])
    async with daemon.on_loopback() as url:
        async with running("Hello", url=url) as process:
            assert await read_all(process.stdout) == b"Hi\n"
        assert process.returncode == 0
    async with running("Hello", url=url) as process:
        told = await read_all(process.stderr)
        assert told.startswith(f"orchestratord: no daemon answers at {url}.".encode())
        assert told.count(b"\n") == 1
    assert process.returncode == 1


async def test_a_dash_reads_the_prompt_from_standard_input() -> None:
    daemon = FakeDaemon()
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)
    async with daemon.on_loopback() as url, running("-", url=url, stdin=read):
        os.close(read)
    assert daemon.tasks[0]["prompt"] == "from a pipe"
