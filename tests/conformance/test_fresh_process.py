"""A run is the same to the byte in another process, whose sets and dictionaries of texts have another order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def reported(folder: Path, adapter: str, checks: str, hash_seed: int) -> dict[str, bytes]:
    """Run in a process of its own; return name -> bytes of the report's files."""
    command = [sys.executable, "-m", "conformance", "run", "--adapter", adapter, "--only", checks, "--once"]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [*command, "--report", str(folder)], cwd=ROOT, env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode in {0, 1}, done.stderr.decode()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("adapter", "checks"),
    [
        ("llamacpp", "ERR-01,FRM-03,CAN-03"),
        ("tests.conformance.late:LATE", "CAN-01:every-instant/token-1-tie+1"),
    ],
)
def test_the_report_does_not_depend_on_the_process(tmp_path: Path, adapter: str, checks: str) -> None:
    first, second = (reported(tmp_path / str(seed), adapter, checks, seed) for seed in (1, 2))
    assert "report.json" in first
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert (b"cancel() called" in first["transcript.ndjson"]) is (adapter != "llamacpp"), "a failure has its frames"
