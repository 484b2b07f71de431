"""The command as people use it: on Windows, into a pipe, with a path that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.gate.codes import CODES
from conformance.outcome import Exit

from .project import SERVICE
from .test_command import MANY, gate

ROOT = Path(__file__).parents[3]


def piped(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the gate and read one line of what it prints; return its exit code and what it says of errors."""
    command = [sys.executable, "-m", "conformance", "gate", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        return process.wait(), process.stderr.read()


@pytest.mark.req("GATE-1005a")
def test_a_reader_that_wants_no_more_makes_it_no_other_verdict(project: Path) -> None:
    assert piped(project) == (0, "")
    (project / "specs/service.md").write_text(SERVICE.replace("\n```toml", MANY + "\n```toml", 1))
    assert piped(project, "--fix", "--format", "json") == (1, "")


@pytest.mark.req("GATE-1004b", "GATE-1005d")
def test_line_ends_of_windows_change_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "conformance-baseline.toml").write_text(
        '[[expected]]\nadapter = "mine"\ncheck = "CAN-03"\nreason = "known"\nuntil = 9999-01-31\n'
    )
    assert gate("--root", project) == Exit.CONFORMING
    told = capsys.readouterr().out
    for path in project.rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert gate("--root", project) == Exit.CONFORMING
    assert capsys.readouterr().out == told


def test_an_adapter_of_another_project_may_be_known_to_fail_a_check_of_the_kit(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = project / "conformance-baseline.toml"
    baseline.write_text('[[expected]]\nadapter = "mine"\ncheck = "CAN-03"\nreason = "known"\n')
    assert gate("--root", project) == Exit.CONFORMING
    baseline.write_text(baseline.read_text().replace("CAN-03", "CAN-3"))
    assert gate("--root", project) == Exit.NOT_CONFORMING
    assert f"SPEC206 error {baseline}:1 mine CAN-3: there is no check CAN-3" in capsys.readouterr().out


def test_all_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("--explain") == Exit.CONFORMING
    told = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert told == [[code.id, str(code.severity), code.title] for code in CODES.values()]


def test_a_dash_is_here(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert gate("--format", "sarif", "--output", "-") == Exit.CONFORMING
    assert capsys.readouterr().out.startswith("{")
    assert not (project / "-").exists()


@pytest.mark.req("GATE-1005b")
def test_every_document_that_cannot_be_read_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("events", "service"):
        path = project / f"specs/{name}.md"
        path.write_text(path.read_text().replace("**MUST**", "must"))
    assert gate("--root", project) == Exit.NOT_CONFORMING
    assert capsys.readouterr().out.count("SPEC003 error") == 2
