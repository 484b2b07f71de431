"""The checks as tests of pytest: what a run says, in a folder of somebody else's."""

from __future__ import annotations

import re
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    class Pytest(Protocol):
        def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]: ...


THEIRS = """
    from conformance.subjects.mock import MockSubject
    from conformance.zoo.stream_faults import HoldsEverythingBack, RepeatsAnIndex
    from conformance.zoo.subject import ZooSubject
    from conformance.zoo.wrapper import Stream

    subject = MockSubject()
    broken = ZooSubject("broken", subject, RepeatsAnIndex)
    late = ZooSubject("late", subject, HoldsEverythingBack)

    class Lost:
        name, engine, limits = "lost", "mock", {}
        def faults(self, spec): return ()
        def open(self, situation): raise OSError("no licence file")

    lost = Lost()

    class Crashes(Stream):
        def change(self, event):
            raise LookupError("no such event")

    crashes = ZooSubject("crashes", subject, Crashes)
"""
KNOWN = """
    [[expected]]
    adapter = "broken"
    check = "FRM-03"
    reason = "the engine counts so"
    until = 2999-01-01
"""


@pytest.fixture
def tested(tmp_path: Path) -> Pytest:
    """Run pytest with these arguments in a folder that has a module with subjects and a test of its own."""
    (tmp_path / "theirs.py").write_text(dedent(THEIRS), encoding="utf-8")
    (tmp_path / "known.toml").write_text(dedent(KNOWN), encoding="utf-8")
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        loaded = ["-p", "no:conformance", "-p", "conformance.pytest_plugin", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-rA", *loaded, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_each_check_is_a_test_beside_those_of_the_folder(tested: Pytest) -> None:
    done = tested("--conformance", "theirs:subject", "-k", "FRM-1 or own")
    assert done.returncode == 0, done.stdout
    assert "PASSED conformance::FRM-10" in done.stdout
    assert re.search(r"SKIPPED \[1\] .*the mock has no bytes between adapter and engine", done.stdout)
    assert "PASSED test_own.py::test_own" in done.stdout


def test_a_failure_is_the_kits_own_block_and_what_breaks_beside_it_fails_the_verdict(tested: Pytest) -> None:
    done = tested("--conformance", "theirs:broken", "-k", "FRM-03 or FRM-10")
    assert done.returncode == 1
    assert "\nFAIL FRM-03 (MUST, frame order) token indices count from 0 without a gap\n  requires  " in done.stdout
    assert "reproduce python -m conformance run --adapter theirs:broken --only FRM-03:everyday/completes" in done.stdout
    assert "runner.py" not in done.stdout
    beside = tested("--conformance", "theirs:broken", "-k", "CAN-06 or verdict")
    assert "FAILED conformance::verdict" in beside.stdout
    assert "PASSED conformance::CAN-06" in beside.stdout
    assert "FAIL FRM-03" in beside.stdout


def test_a_known_failure_is_an_expected_one_and_a_warning_passes_with_its_text(tested: Pytest) -> None:
    known = tested("--conformance", "theirs:broken", "--conformance-baseline", "known.toml", "-k", "FRM-03")
    assert known.returncode == 0, known.stdout
    assert "XFAIL conformance::FRM-03 - the engine counts so (until 2999-01-01)" in known.stdout
    warned = tested("--conformance", "theirs:late", "-k", "FRM-08")
    assert warned.returncode == 0, warned.stdout
    assert "WARN FRM-08 (SHOULD, frame order)" in warned.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--conformance", "theirs:nobody"],
            "theirs has no 'nobody'; subjects in it: subject, broken, late, lost, crashes",
        ),
        (["--conformance", "theirs:subject", "--conformance-profile", "al"], "one of core, stream, cancel"),
        (["--conformance", "theirs:subject", "--conformance-baseline", "no.toml"], "--conformance-baseline: no.toml"),
        (["--conformance", "theirs:lost"], "cannot be played to: open() raised OSError: no licence file (theirs.py:14"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], words: str, tested: Pytest) -> None:
    done = tested(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr


def test_it_says_where_to_begin(tested: Pytest) -> None:
    done = tested("--conformance", "theirs:crashes", "--conformance-profile", "stream")
    assert done.returncode == 1
    last = [line for line in done.stdout.splitlines() if line.startswith("conformance: ")]
    assert len(last) == 1
    assert last[0].startswith("conformance: begin with ERR-05: an exception that nobody handles leaves the adapter (")


def test_nothing_of_the_kit_is_imported_without_the_option(tested: Pytest) -> None:
    done = tested("-k", "own")
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
    code = "import sys, conformance.pytest_plugin; print(sorted(m for m in sys.modules if m.startswith('conformance')))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert modules == "['conformance', 'conformance.pytest_plugin']\n"
