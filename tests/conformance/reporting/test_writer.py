from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.__main__ import main
from conformance.api import run_suite
from conformance.canary import Canaries
from conformance.outcome import Exit, SuiteReport
from conformance.reporting import FILES, CanaryInReport, report_files, write_report, writer
from conformance.reporting.command import add_report, deliver
from conformance.subjects import SUBJECTS
from conformance.zoo.secret_faults import LogsItsKey
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject

from .runs import SPEC, run

if TYPE_CHECKING:
    from conformance.zoo.wrapper import Stream, Wrapper

ROOT = str(Path(__file__).parents[3])


def played(animal: type[Stream | Wrapper], *only: str, seed: int = 0) -> SuiteReport:
    return run_suite(ZooSubject("broken", SUBJECTS["mock"], animal), only=only, seed=seed)


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("seed", [0, 7])
def test_a_leak_that_was_found_is_in_no_file(seed: int) -> None:
    files = report_files(played(LogsItsKey, "RED-01", seed=seed), SPEC)
    assert "[canary:api_key]" in files["report.html"].decode()
    for text in files.values():
        assert all(Canaries(seed + extra).find(text.decode(), "file") is None for extra in range(8))


def test_two_runs_with_one_seed_give_the_same_bytes() -> None:
    one, other = (report_files(played(RepeatsAnIndex, "FRM-03", "CAN-03", seed=4), SPEC) for _ in range(2))
    assert one == other
    assert set(one) == set(FILES)
    assert one != report_files(played(RepeatsAnIndex, "FRM-03", "CAN-03", seed=5), SPEC)


def test_no_path_of_this_machine_is_in_a_report() -> None:
    trace = f'Traceback:\n  File "{ROOT}/conformance/lab.py", line 3, in f\nLookupError: <object at 0x7f0011223344>'
    for text in report_files(run(trace, kit_error=trace), SPEC).values():
        assert ROOT not in text.decode()
        assert "0x7f0011223344" not in text.decode()


def test_a_transcript_has_all_that_happened_and_says_that_it_is_whole() -> None:
    lines = report_files(played(RepeatsAnIndex, "FRM-03"), SPEC)["transcript.ndjson"].decode().splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert (kinds[0], kinds[-1]) == ("run", "over")
    assert kinds.count("case") == 3
    assert {"entry", "finding"} < set(kinds)
    entries = [json.loads(line) for line in lines if '"entry"' in line]
    assert [entry["number"] for entry in entries[:3]] == [0, 1, 2]
    assert any(entry["is_wrong"] for entry in entries)


@pytest.mark.parametrize("text", ["\n", '{"type": "over"}', "\u2028"])
def test_a_text_cannot_make_a_line_of_its_own(text: str) -> None:
    lines = report_files(run(text), SPEC)["transcript.ndjson"].decode().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert sum(json.loads(line)["type"] == "over" for line in lines) == 1


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("name", FILES)
def test_a_canary_in_any_file_is_the_kit_s_own_fault_and_nothing_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = Canaries(3)["url"]
    monkeypatch.setattr(writer, "FORMS", dict.fromkeys(writer.FORMS, lambda _record: "good"))
    monkeypatch.setattr(writer, "ndjson", lambda _report, _kind: "good")
    if name == writer.TRANSCRIPT:
        monkeypatch.setattr(writer, "ndjson", lambda _report, _kind: f"line {secret}")
    else:
        monkeypatch.setitem(writer.FORMS, name, lambda _record: f"<p>{secret}</p>")
    with pytest.raises(CanaryInReport, match=f"the url canary stands in {name}, as it is"):
        write_report(run(), SPEC, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert deliver(run(), SPEC, tmp_path) is Exit.KIT_ERROR
    assert secret not in capsys.readouterr().err


@pytest.mark.req("HTU-1004")
def test_the_secrets_of_a_running_engine_are_in_no_file_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = report_files(run("it said: my-plain-key, and 6d792d706c61696e2d6b6579"), SPEC, ["my-plain-key", "short"])
    assert all(b"my-plain-key" not in text and b"6d792d70" not in text for text in files.values())
    assert b"it said: [redacted:setting], and [redacted:setting]" in files["report.json"]
    monkeypatch.setitem(writer.FORMS, "badge.json", lambda _record: "my-plain-key")
    with pytest.raises(CanaryInReport, match=r"badge\.json"):
        write_report(run(), SPEC, tmp_path, secrets=["my-plain-key"])


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_report(parser)
    return parser.parse_args(arguments)


def test_a_run_writes_every_file_and_keeps_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = parsed("--report", str(tmp_path / "new" / "report")).report
    assert deliver(run(), SPEC, folder) is Exit.NOT_CONFORMING
    assert {path.name for path in folder.iterdir()} == set(FILES)
    assert f"report in {folder}" in capsys.readouterr().out


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "--adapter", "mock", "--only", "CAN-06", "--report", str(tmp_path)])
    assert caught.value.code == Exit.CONFORMING
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert "mock conforms" in capsys.readouterr().out


def test_a_run_without_the_flag_writes_nothing() -> None:
    assert deliver(run(), SPEC, parsed().report) is Exit.NOT_CONFORMING


def test_a_folder_that_cannot_be_made_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        parsed("--report", str(tmp_path / "file"))
    assert caught.value.code == Exit.USAGE
    assert "--report" in capsys.readouterr().err


def test_a_folder_that_goes_away_meanwhile_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = parsed("--report", str(tmp_path / "report")).report
    folder.rmdir()
    folder.write_text("", encoding="utf-8")
    assert deliver(run(), SPEC, folder) is Exit.USAGE
    assert "cannot write the report" in capsys.readouterr().err
