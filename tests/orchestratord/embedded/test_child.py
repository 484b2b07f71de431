"""The child never outlives the daemon, whatever the two of them are doing."""

import os
import signal
import subprocess
import sys

import pytest
import trio

from tests.orchestratord.embedded.support import REAL_TIME_GUARD_S, ended_after, gone

LIFELINE = "from orchestratord.embedded.child import die_with_parent; die_with_parent(); print('tied', flush=True); "
DAEMON = (
    "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE,"
    "stdout=subprocess.PIPE); child.stdout.readline(); print(child.pid, flush=True); child.wait()"
)


@pytest.mark.parametrize(
    "busy_with",
    [
        pytest.param("import time; time.sleep(60)", id="asleep"),
        pytest.param("import itertools; sum(itertools.repeat(1))", id="Python-cannot-run"),
    ],
)
async def test_a_killed_daemon_takes_the_child_along(busy_with: str) -> None:
    command = [sys.executable, "-c", DAEMON, LIFELINE + busy_with]
    daemon = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    async with ended_after(daemon):
        with trio.fail_after(REAL_TIME_GUARD_S):
            child_pid = int(await daemon.stdout.receive_some())
            os.kill(child_pid, 0)
            daemon.kill()
            await daemon.wait()
            await gone(child_pid)


async def test_a_daemon_that_is_gone_before_the_child_looks_is_noticed() -> None:
    with trio.fail_after(REAL_TIME_GUARD_S):
        run = await trio.run_process(
            [sys.executable, "-c", LIFELINE], stdin=b"", check=False, capture_stdout=True, capture_stderr=True
        )
    assert run.stdout == b""
    assert run.returncode in {1, -signal.SIGKILL}
