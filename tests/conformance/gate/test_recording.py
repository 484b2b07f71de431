"""The plugin writes down which requirements' tests passed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import specs
from conformance.gate import evidence
from conformance.gate.facts import TestRuns

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """import pytest


@pytest.mark.req("GATE-1001", "GATE-1002")
@pytest.mark.parametrize("n", [1, 2])
def test_passes(n):
    pass


@pytest.mark.req("GATE-1002")
def test_fails():
    assert False


@pytest.mark.req("GATE-1003")
def test_skips():
    pytest.skip("no")


@pytest.fixture
def broken():
    raise ValueError


@pytest.mark.req("GATE-1004")
def test_cannot_begin(broken):
    pass
"""


def run(folder: Path, *arguments: str) -> None:
    (folder / "test_it.py").write_text(TESTS, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  req: requirement\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conformance.gate.recording", *arguments, str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.req("GATE-1001")
def test_what_passed_and_what_did_not_is_counted_for_each_requirement(tmp_path: Path) -> None:
    path = tmp_path / "tests.json"
    run(tmp_path, "--gate-evidence", str(path))
    found, troubles = evidence.read([path], specs.load())
    assert not troubles
    assert found.tests == {
        "GATE-1001": TestRuns(2, 0),
        "GATE-1002": TestRuns(2, 1),
        "GATE-1003": TestRuns(0, 1),
        "GATE-1004": TestRuns(0, 1),
    }


def test_without_the_option_nothing_is_written(tmp_path: Path) -> None:
    run(tmp_path)
    assert not list(tmp_path.glob("*.json"))
