"""The files for projects that use the kit: what they run exists, and gives the verdict that it should."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.gate.command import TEMPLATES
from conformance.outcome import Exit

from .project import edit
from .test_command import gate

if TYPE_CHECKING:
    from pathlib import Path


def commands(name: str) -> list[list[str]]:
    """Return the commands of a template that the kit offers."""
    lines = [line.strip() for line in TEMPLATES[name].read_text(encoding="utf-8").splitlines()]
    texts = [line.partition(": ")[2] for line in lines if line.startswith(("run: ", "entry: "))]
    return [shlex.split(text.removesuffix(" || true")) for text in texts if not text.startswith("python -m pip")]


def run(folder: Path, command: list[str]) -> int:
    arguments = ["" if word == "$BASE" else word for word in command[1:]]
    program = [sys.executable, "-m", command[0], *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.parametrize("name", ["workflow", "pre-commit"])
def test_a_template_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("--template", name) == Exit.CONFORMING
    assert capsys.readouterr().out == TEMPLATES[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["workflow", "pre-commit"])
def test_what_a_template_runs_passes_for_a_good_project_and_fails_for_a_broken_one(name: str, project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\nmarkers =\n  req: requirement\n", encoding="utf-8")
    assert {run(project, command) for command in commands(name)} == {0}
    edit(project, "specs/events.md", "a kind", "some kind")
    assert next(run(project, command) for command in commands(name) if command[0] == "conformance") == 1
