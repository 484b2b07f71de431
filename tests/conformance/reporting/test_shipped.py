"""The reports that are kept, and how they are made; `--check` itself runs everything and is slow."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conformance import reporting
from conformance.outcome import Exit
from conformance.reporting import shipped
from conformance.reporting.cancellation import PHASES
from conformance.reporting.record import json_text
from conformance.reporting.shipped import CANCELLATION, KEPT, MADE, REPORTS, main, read_shipped
from conformance.subjects import SUBJECTS

from .runs import record

KEPT_NOW = read_shipped()
FOLDER = REPORTS / KEPT_NOW.version


def test_every_subject_has_a_report_of_the_newest_suite() -> None:
    assert [each.subject for each in KEPT_NOW.records] == list(SUBJECTS)
    assert [each.adapter for each in KEPT_NOW.costs] == list(SUBJECTS)
    assert {each.suite.version for each in KEPT_NOW.records} == {KEPT_NOW.version}


def test_every_kept_report_is_of_the_whole_suite_and_conforms() -> None:
    assert all(each.is_whole for each in KEPT_NOW.records)
    assert {each.subject: each.verdict for each in KEPT_NOW.records if each.verdict != "conforming"} == {}
    assert len({each.suite.sha256 for each in KEPT_NOW.records}) == 1


def test_a_cancel_was_measured_in_every_phase_and_every_engine_let_go() -> None:
    for costs in KEPT_NOW.costs:
        assert list(costs.phases) == list(PHASES)
        assert all(cost.released_ms is not None for cost in costs.phases.values())


def test_only_one_file_says_when_and_where() -> None:
    root = str(Path(reporting.__file__).parents[2])
    day = KEPT_NOW.made.day
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    for path in FOLDER.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert (day in text) == (path.name == MADE)
        assert root not in text
        assert '"/' not in text, path


def test_each_kept_summary_says_how_to_see_it_again() -> None:
    for name in SUBJECTS:
        text = (FOLDER / name / "SUMMARY.md").read_text(encoding="utf-8")
        assert f"## Reproduce\n\n```sh\npython -m conformance run --adapter {name} --report DIR\n" in text
        assert set(KEPT) == {path.name for path in (FOLDER / name).iterdir()}


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Instead of a run of everything, one good report that belongs to a folder of its own."""
    good = (FOLDER / "mock" / "report.json").read_bytes()
    files = {"mock/report.json": good, "mock/badge.json": b"{}\n", CANCELLATION: b"[]\n"}
    monkeypatch.setattr(shipped, "REPORTS", tmp_path)
    monkeypatch.setattr(shipped, "all_files", lambda: files)
    return files


def test_reports_are_written_once_and_a_second_time_changes_nothing(
    made_up: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == Exit.CONFORMING
    (folder,) = tmp_path.iterdir()
    assert (folder / "mock" / "report.json").read_bytes() == made_up["mock/report.json"]
    (folder / MADE).write_text("another day", encoding="utf-8")
    assert main([]) == Exit.CONFORMING
    assert (folder / MADE).read_text(encoding="utf-8") == "another day"
    assert capsys.readouterr().out.count("wrote") == 3


def test_a_check_fails_when_a_report_is_behind_and_writes_nothing(
    made_up: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == Exit.NOT_CONFORMING
    assert list(tmp_path.iterdir()) == []
    main([])
    assert main(["--check"]) == Exit.CONFORMING
    made_up["mock/badge.json"] = b"{1}\n"
    assert main(["--check"]) == Exit.NOT_CONFORMING
    assert "behind" in capsys.readouterr().out


def test_an_adapter_that_does_not_conform_fails_the_command(made_up: dict[str, bytes]) -> None:
    made_up["mock/report.json"] = json_text(record()).encode()
    assert main([]) == Exit.NOT_CONFORMING


def test_the_newest_suite_is_shown(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "0.2.0"):
        (tmp_path / name).mkdir()
    newest = max(tmp_path.iterdir(), key=shipped._newest)
    assert newest.name == "0.10.0"


def test_the_badge_of_a_kept_report_is_its_own() -> None:
    for name in SUBJECTS:
        assert json.loads((FOLDER / name / "badge.json").read_text(encoding="utf-8"))["color"] == "brightgreen"


@pytest.mark.slow
def test_the_kept_reports_are_those_of_a_run() -> None:
    assert main(["--check"]) == Exit.CONFORMING
