"""The benchmark works and would notice a wrong answer. No figure is asserted: that is not what tests are for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.client import Job, Stream, outcome
from benchmarks.engine import final_frame, token_frame

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
JOB = Job(surface="completion", frames="engine", streams=1, tokens=3)
COMMAND = [sys.executable, "-m", "benchmarks.relay", "--quick", "--json"]
ROOT = Path(__file__).parent.parent.parent


def test_every_relay_gives_every_token_in_order() -> None:
    done = subprocess.run(
        [*COMMAND, "--flood", "--paced", "--memory", "--streams", "2", "--tokens", "40"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    relays = {"direct", "orchestratord", "naive"}
    assert relays <= {run["relay"] for run in report["flood"]}
    assert {run["relay"]: run["tokens"] for run in report["paced"]}.items() >= dict.fromkeys(relays, 80).items()
    assert {run["relay"] for run in report["memory"]} >= relays - {"direct"}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are looked up in /proc")
def test_an_interrupt_leaves_no_process_behind() -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        running.stderr.readline()  # the first relay is being measured
        children = [int(pid) for pid in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()]
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in told
    assert children
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_whole_answer_has_no_complaints() -> None:
    found = outcome([answer(1, 2, 3)], JOB)
    assert (found.tokens, found.complaints) == (3, [])
    assert found.seconds == pytest.approx(3e-9)


@pytest.mark.parametrize("numbers", [(1, 3), (1, 3, 2), (1, 2), (1, 2, 2), (1, 2, 3, 4)])
def test_a_gap_a_repeat_and_a_missing_token_are_noticed(numbers: tuple[int, ...]) -> None:
    assert outcome([answer(*numbers)], JOB).complaints


def test_a_missing_end_is_noticed() -> None:
    stream = answer(1, 2, 3)
    del stream.received[-1]
    assert outcome([stream], JOB).complaints == ["stream 0: no end marker"]


def test_the_delay_runs_from_the_stamp_in_the_text_to_the_read_that_completed_the_token() -> None:
    first, second = token_frame(1, "1000000"), token_frame(2, "3000000")
    received = [
        (2_000_000, HEAD + first),
        (4_000_000, second[:-20]),
        (6_500_000, second[-20:]),
        (7_000_000, final_frame(2)),
    ]
    job = Job(surface="completion", frames="engine", streams=1, tokens=2, every_ms=20)
    assert outcome([Stream(received)], job).delays_us == [3500.0]  # the first was sent while not all streams flowed


def answer(*numbers: int) -> Stream:
    """An answer whose n-th token was read n nanoseconds after its head."""
    tokens = [(at, token_frame(number, "a")) for at, number in enumerate(numbers, 1)]
    return Stream([(0, HEAD), *tokens, (len(numbers) + 1, final_frame(len(numbers)))])
