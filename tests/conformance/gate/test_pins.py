"""Pins: written by the command, read back as they are, and moved only by whoever names the check."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.gate import kit, pins
from conformance.gate.facts import Pin
from conformance.gate.finding import Place
from conformance.gate.pin_rules import pins as judged
from conformance.outcome import Exit
from specs.__main__ import write_lock

from .project import CHECKS, PINS, edit, gathered, write
from .test_command import gate

if TYPE_CHECKING:
    from conformance.gate.facts import Project

ROOT = Path(__file__).parents[3]
IDS = st.from_regex(r"[A-Z]{1,3}-[0-9]{2}", fullmatch=True)
REVISIONS = st.dictionaries(st.tuples(IDS, IDS), st.integers(1, 99))


def told(pin: Pin) -> tuple[str, str, int]:
    return pin.check, pin.requirement, pin.revision


def revised(folder: Path, text: str) -> Project:
    """Revise EV-1001, with its lock."""
    now = (folder / "specs/events.md").read_text().partition("- [EV-1002")[0].rpartition("\n\n")[2]
    edit(folder, "specs/events.md", now, f"- [EV-1001 {text}\n")
    assert write_lock(folder / "specs") == 0
    return gathered(folder)


@pytest.mark.req("GATE-1006b")
@given(revisions=REVISIONS)
def test_pins_are_read_back_as_they_were_written_and_are_toml(
    revisions: dict[tuple[str, str], int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pins") / "pins.toml"
    pins.write(path, [Pin(check, id, revision, Place("x")) for (check, id), revision in revisions.items()])
    found, wrong = pins.read(path)
    assert not wrong
    assert [told(pin) for pin in found] == sorted((*pair, number) for pair, number in revisions.items())
    lines = path.read_text().splitlines()
    assert all(lines[pin.place.line - 1] == f"{pin.check}.{pin.requirement} = {pin.revision}" for pin in found)
    tables = tomllib.loads(path.read_text())
    assert {(check, id): number for check, row in tables.items() for id, number in row.items()} == revisions


@pytest.mark.req("GATE-1005b")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A-01.B-01 = 1\n<<<<<<< HEAD\nA-01.B-02 = 1\n", 2),
        ("A-01.B-01 = 1\nA-01.B-01 = 2\n", 2),
        ("A-01.B-01 = 0\n", 1),
        ("A-01 = {B-01 = 1}\n", 1),
        ("# pins\n\nA-01.B-01 =\n", 3),
        ("\ufeffA-01.B-01 = 1\n", 1),
    ],
)
def test_a_line_that_is_no_pin_is_a_finding_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "pins.toml"
    path.write_text(text, encoding="utf-8")
    wrong = pins.read(path)[1]
    assert [(each.code_id, each.place.line) for each in wrong] == [("SPEC120", line)]


def test_what_a_merge_of_both_sides_leaves_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    path.write_text("B-01.B-01 = 2\nA-01.B-01 = 1\nB-01.B-01 = 2\n", encoding="utf-8")
    found, wrong = pins.read(path)
    assert ([told(pin) for pin in found], wrong) == ([("B-01", "B-01", 2), ("A-01", "B-01", 1)], [])
    pins.write(path, found)
    assert path.read_text(encoding="utf-8").endswith("\nA-01.B-01 = 1\nB-01.B-01 = 2\n")


@pytest.mark.req("GATE-1005b")
def test_a_file_that_is_no_text_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"A-01.B-01 = 1 # \xe9\n")
    for name in ("latin", "."):
        assert [each.code_id for each in pins.read(tmp_path / name)[1]] == ["SPEC120"]
    assert pins.read(tmp_path / "none") == ([], [])


@pytest.mark.req("GATE-1006")
def test_a_check_of_a_revised_text_is_told_both_texts(tmp_path: Path) -> None:
    write(tmp_path)
    (found,) = judged(revised(tmp_path, "r2] An event MUST be kind."))
    assert found.message == (
        "CK-01 was held against EV-1001 r1 'An event MUST have a kind.', and it is r2 'An event MUST be kind.' now"
    )
    (found,) = judged(revised(tmp_path, "r3] An event MUST be *kind* again."))
    assert "EV-1001 r1 'An event MUST have a kind.'" in found.message
    (found,) = judged(replace(revised(tmp_path, "r3] An event MUST be kind again."), lock=None))
    assert "EV-1001 r1 (the lock has no such text), and it is r3" in found.message


@pytest.mark.req("GATE-1006a", "GATE-1006b")
def test_new_pairs_are_pinned_older_ones_stay_and_those_of_nothing_go(tmp_path: Path) -> None:
    write(tmp_path)
    project = revised(tmp_path, "r2] An event MUST be kind.")
    stray = Pin("CK-99", "EV-1001", 1, Place("x"))
    now = pins.settled([*PINS[:-1], stray], CHECKS, project.spec)
    assert {told(pin) for pin in now} == {told(pin) for pin in PINS}
    assert list(judged(replace(project, pins=now)))
    confirmed = pins.settled(now, CHECKS, project.spec, ["CK-01"])
    assert {told(pin) for pin in confirmed} - {told(pin) for pin in now} == {("CK-01", "EV-1001", 2)}
    assert not list(judged(replace(project, pins=confirmed)))


@pytest.fixture
def kit_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the kit's pins, with one that is old, one too many, and one that is not there."""
    path = tmp_path / "pins.toml"
    lines = kit.pins_file(ROOT).read_text(encoding="utf-8").replace("CAN-03.ADAPT-3101c = 1\n", "")
    path.write_text(lines.replace("CAN-02.ADAPT-3101b = 1", "CAN-02.ADAPT-3101b = 7") + "CAN-99.ADAPT-3101b = 1\n")
    monkeypatch.setattr(kit, "pins_file", lambda _root: path)
    return path


def ours(*arguments: str) -> int:
    return gate("--root", str(ROOT), "--tests", str(ROOT / "tests/specs"), "--no-run", *arguments)


@pytest.mark.req("GATE-1006a")
def test_fix_pins_what_is_new_and_only_naming_a_check_confirms_it(
    kit_pins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours()
    lines = capsys.readouterr().out.splitlines()
    told = {(line.split()[0], line.split()[3]) for line in lines if line.startswith("SPEC11")}
    assert told >= {("SPEC117", "CAN-03:"), ("SPEC118", "CAN-02:"), ("SPEC119", "CAN-99:")}
    ours("--fix")
    assert "SPEC118" in (out := capsys.readouterr().out)
    assert "SPEC117" not in out
    assert "SPEC119" not in out
    text = kit_pins.read_text()
    assert "CAN-03.ADAPT-3101c = 1\n" in text
    assert "CAN-02.ADAPT-3101b = 7\n" in text
    assert "CAN-99" not in text
    ours("--pin", "can-02,CAN-01")
    captured = capsys.readouterr()
    assert "SPEC118" not in captured.out
    assert "CAN-02 is pinned to ADAPT-3101b r1 now: A stream that is cancelled" in captured.err
    assert "CAN-01 was pinned to what the documents say already" in captured.err
    assert "CAN-02.ADAPT-3101b = 1\n" in kit_pins.read_text()


@pytest.mark.req("GATE-1005a")
def test_a_check_that_is_not_there_cannot_be_confirmed(
    kit_pins: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = kit_pins.read_text()
    assert ours("--pin", "CAN-1O") == Exit.USAGE
    assert "there is no check 'CAN-1O'; did you mean CAN-1" in capsys.readouterr().err
    assert kit_pins.read_text() == before
    assert gate("--root", project, "--pin", "CAN-01") == Exit.USAGE
    assert "another project" in capsys.readouterr().err


@pytest.mark.req("GATE-1005b")
def test_a_file_that_cannot_be_read_is_not_written_over(kit_pins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "=======\n" + kit_pins.read_text()
    kit_pins.write_text(text)
    assert ours("--pin", "CAN-02") == Exit.NOT_CONFORMING
    assert "SPEC120" in capsys.readouterr().out
    assert kit_pins.read_text() == text
