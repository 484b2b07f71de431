"""`conformance init`: what it writes runs, conforms, is clean, and says what is left to do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.__main__ import main
from conformance.outcome import Exit
from conformance.starting import files

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = ["E", "F", "W", "I", "UP", "B", "C4", "SIM", "RET", "RUF", "N", "TC", "D100", "D101"]
SETTINGS = ["--isolated", "--no-cache", "--config", "line-length = 120"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["init", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def shell(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a start."""
    folder = tmp_path_factory.mktemp("new") / "adapter"
    assert run(str(folder), "--engine", "my-engine") == Exit.CONFORMING
    return folder


@pytest.mark.parametrize("engine", ["acorn", "my-engine", "zz2"])
def test_every_file_is_clean(engine: str, tmp_path: Path) -> None:
    assert run(str(tmp_path), "--engine", engine) == Exit.CONFORMING
    checked = shell(tmp_path, "ruff", "check", *SETTINGS, "--select", ",".join(CLEAN), ".")
    assert checked.returncode == 0, checked.stdout
    formatted = shell(tmp_path, "ruff", "format", *SETTINGS, "--diff", ".")
    assert formatted.returncode == 0, formatted.stdout


def test_it_conforms_as_it_is_without_being_installed(start: Path) -> None:
    done = shell(start, "conformance", "run", "--adapter", "my_engine_proof:subject", "--level", "must", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my_engine_proof:subject conforms" in done.stdout


def test_its_tests_say_what_is_left_to_do_and_where(start: Path) -> None:
    done = shell(start, "pytest", "-q", "-p", "no:cacheprovider", "-k", "yours")
    assert done.returncode == 1
    assert "places to make yours" in done.stdout
    assert "my_engine_adapter/wire.py:" in done.stdout
    assert "my_engine_proof/double.py:" in done.stdout


def test_its_tests_pass_when_no_mark_is_left(tmp_path: Path) -> None:
    run(str(tmp_path), "--engine", "acorn")
    for path in tmp_path.glob("acorn_*/*.py"):
        path.write_text(path.read_text(encoding="utf-8").replace("# YOURS: ", "# "), encoding="utf-8")
    done = shell(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout


def test_it_brings_what_a_project_has_beside_its_code(start: Path) -> None:
    told = (start / "README.md").read_text(encoding="utf-8")
    assert "conformance run --adapter my_engine_proof:subject" in told
    workflow = (start / ".github" / "workflows" / "conformance.yml").read_text(encoding="utf-8")
    assert "run: conformance run --adapter my_engine_proof:subject --report report" in workflow
    assert "pytest" in (start / "pyproject.toml").read_text(encoding="utf-8")
    assert "report/" in (start / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_it_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "oak"
    assert run(str(folder), "--engine", "oak") == Exit.CONFORMING
    steps = capsys.readouterr().out.partition("Next:\n")[2].splitlines()
    assert [step.split("  ")[1] for step in steps] == [
        f"cd {folder}",
        "pip install --editable '.[test]'",
        "conformance run --adapter oak_proof:subject",
        "pytest",
    ]


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "pyproject.toml"
    own.write_text("mine", encoding="utf-8")
    assert run(str(tmp_path), "--engine", "acorn") == Exit.USAGE
    assert f"{own} is there already; nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


@pytest.mark.parametrize(
    ("engine", "words"), [("Acorn!", "is no engine's name"), ("vllm", "there is an adapter for vllm already")]
)
def test_a_name_that_will_not_do_is_wrong_usage(engine: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--engine", engine) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_no_word_of_the_template_is_left() -> None:
    for path, text in files("zz2").items():
        assert "acme" not in (path + text).lower(), path
