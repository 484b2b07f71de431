"""How a subject of somebody else is found, and what is said when it is not."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from conformance.__main__ import main
from conformance.loading import Called, NoSubject, callable_again, find_subject
from conformance.outcome import Exit
from conformance.subjects import SUBJECTS
from conformance.subjects.mock import MockSubject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = """
    from conformance.subjects.mock import MockSubject
    from conformance.zoo.stream_faults import RepeatsAnIndex
    from conformance.zoo.subject import ZooSubject

    subject = MockSubject()
    broken = ZooSubject("broken", subject, RepeatsAnIndex)
    kind = MockSubject
    nothing = object()

    class Half:
        name = "half"
        engine = "half"

    class Odd(Half):
        limits = None
        def faults(self, spec): return ()
        def open(self, situation): return None

    half, odd = Half(), Odd()
    nameless = Odd()
    nameless.name = 3
    limited = Odd()
    limited.limits = {"wyre": "it has none"}

    class Factory:
        engine = "mine"
        settings_schema = {}
        def open(self, settings, context): return None

    factory = Factory()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an author's modules, which is the current directory."""
    (tmp_path / "their_subject.py").write_text(dedent(GOOD), encoding="utf-8")
    (tmp_path / "their_typo.py").write_text("import nowhere_to_be_found\n", encoding="utf-8")
    (tmp_path / "their_crash.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "their_exit.py").write_text("raise SystemExit('bye')\n", encoding="utf-8")
    (tmp_path / "their_syntax.py").write_text("\nx = (\n", encoding="utf-8")
    (tmp_path / "their_empty.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    importlib.invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("their_")]:
        del sys.modules[name]


def test_a_module_of_the_current_directory_is_found_and_its_subject_is_called_as_it_was_named() -> None:
    found = find_subject("their_subject:subject")
    assert (found.name, found.engine) == ("their_subject:subject", "mock")
    assert found.limits == MockSubject.limits


def test_a_shipped_subject_is_found_by_its_name() -> None:
    assert find_subject("mock") is SUBJECTS["mock"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mok", "did you mean mock?"),
        ("their_subject", "their_subject is a module: write their_subject:NAME"),
        ("their_other.subject", "write MODULE:NAME for one of your own"),
        ("their_subject.py", "did you mean their_subject:NAME?"),
        ("./their_subject.py", "did you mean their_subject:NAME?"),
        ("./their_subject.py:subject", "did you mean their_subject:subject?"),
        ("their_subject.py:subject", "did you mean their_subject:NAME?"),
        ("../theirs/their_subject:subject", "did you mean their_subject:subject, in the folder ../theirs?"),
        ("their_exit:subject", "importing their_exit failed: SystemExit: bye"),
        ("their_syntax:subject", "their_syntax.py:2)"),
        ("their_subject:limited", "there is no means 'wyre'; did you mean wire?"),
        ("their_subject:", "not of the form MODULE:NAME"),
        (":subject", "not of the form MODULE:NAME"),
        ("their_subjects:subject", "there is no module 'their_subjects' in "),
        ("their_subject.deeper:subject", "there is no module 'their_subject.deeper' in "),
        ("their_typo:subject", "importing their_typo failed: ModuleNotFoundError: No module named 'nowhere_to_be"),
        ("their_crash:subject", "importing their_crash failed: ZeroDivisionError: division by zero"),
        ("their_crash:subject", "their_crash.py:1)"),
        ("their_empty:subject", "has no 'subject'; there is no subject in it"),
        ("their_subject:subjekt", "has no 'subjekt'; subjects in it: subject, broken"),
        ("their_subject:kind", "is a class; make an object of it"),
        ("their_subject:half", "limits is missing ("),
        ("their_subject:half", "open is missing (open(situation)"),
        ("their_subject:odd", "limits is None and not a mapping"),
        ("their_subject:nameless", "name is 3 and not a text"),
        ("their_subject:factory", "is an adapter's factory"),
    ],
)
def test_what_is_wrong_with_it_is_said(name: str, words: str) -> None:
    with pytest.raises(NoSubject) as caught:
        find_subject(name)
    assert words in str(caught.value)


def test_wrong_names_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "--adapter", "their_subject:half"])
    assert caught.value.code == Exit.USAGE
    assert "is no subject: limits is missing" in capsys.readouterr().err


def test_the_command_that_a_failure_prints_plays_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    def lines(*arguments: str) -> list[str]:
        with pytest.raises(SystemExit) as caught:
            main(["run", *arguments])
        assert caught.value.code == Exit.NOT_CONFORMING
        return capsys.readouterr().out.splitlines()

    first = lines("--adapter", "their_subject:broken", "--only", "FRM-03")
    (command,) = (line.split() for line in first if line.startswith("  reproduce "))
    assert command[1:5] == ["python", "-m", "conformance", "run"]
    again = lines(*command[5:])
    assert again[1:].index(f"  reproduce {' '.join(command[1:])}")


def test_a_subject_at_the_top_of_a_module_can_be_named_again() -> None:
    subject = MockSubject()
    assert callable_again(subject) is subject
    module = sys.modules[__name__]
    module.__dict__["placed"] = subject
    try:
        assert callable_again(subject).name == f"{__name__}:placed"
    finally:
        del module.__dict__["placed"]
    assert callable_again(SUBJECTS["mock"]) is SUBJECTS["mock"]
    assert isinstance(find_subject("their_subject:subject"), Called)
