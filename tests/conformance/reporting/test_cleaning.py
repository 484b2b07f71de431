from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from conformance.canary import Canaries
from conformance.findings import Finding
from conformance.outcome import CaseReport, CheckReport, Outcome, SuiteReport
from conformance.portable import portable
from conformance.reporting.cleaning import MOST_CHARS, MOST_ENTRIES, cleaned, cleaner, is_told, visible
from conformance.reporting.transcript import ndjson
from conformance.transcript import Entry, Transcript

from .runs import BROKEN, HOSTILE, SPEC, case, run, texts

CLEAN = cleaner(0, SPEC)
ROOT = Path(__file__).parents[3]


@pytest.mark.req("HTU-1004", "HTU-1004c")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer " + "abcdefgh" * 4, "abcdefgh"),
        ("GET https://user:hunter2hunter2@host/", "hunter2hunter2"),
        ("the key is sk-proj-" + "Zz9" * 16, "Zz9Zz9"),
    ],
)
def test_what_the_redaction_table_finds_is_marked(text: str, shown: str) -> None:
    assert shown not in CLEAN(text)
    assert "[redacted:" in CLEAN(text)


@pytest.mark.req("HTU-1004")
def test_canaries_of_every_schedule_of_the_run_are_marked() -> None:
    for seed in range(8):
        assert CLEAN(f"x {Canaries(seed)['api_key']} y") == "x [canary:api_key] y"


@given(texts)
def test_a_clean_text_has_nothing_that_acts_on_a_terminal_or_breaks_xml(text: str) -> None:
    shown = CLEAN(text)
    assert all(each.isprintable() or each == "\n" for each in shown)
    shown.encode()
    assert visible(shown) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_a_secret_is_marked_whatever_stands_around_it(text: str) -> None:
    assert Canaries(0).find(CLEAN(text + Canaries(0)["url"] + text), "x") is None


def test_a_long_text_is_cut_after_it_was_cleaned_and_says_so() -> None:
    secret = Canaries(0)["api_key"]
    shown = CLEAN("a" * (MOST_CHARS - 5) + secret)
    assert shown.endswith("... (11 more characters)")
    assert Canaries(0).find(shown, "x") is None


def test_nothing_of_this_machine_is_left() -> None:
    trace = f'Traceback\n  File "{ROOT}/conformance/lab.py", line 3, in f\n    f()\n    ~^^\n<a at 0x7f12345678ab>'
    assert portable(trace) == 'Traceback\n  File "conformance/lab.py", line 3, in f\n    f()\n<a at 0x...>'
    assert portable(f"{sys.prefix}/lib") == "lib"


def test_a_path_that_was_cut_before_is_no_path_any_more() -> None:
    assert portable(f'x File "{str(ROOT)[:4]}') == 'x File "...'
    assert portable('k/main/lab.py", line 3, in f') == '...", line 3, in f'


def test_a_long_transcript_keeps_its_numbers_and_loses_what_is_far_from_the_fault() -> None:
    transcript = Transcript()
    transcript.entries += [Entry(number, 0.0, "task-1", "word") for number in range(3 * MOST_ENTRIES)]
    transcript.marked.add(2 * MOST_ENTRIES)
    broken = replace(case(), transcript=transcript)
    report = _cleaned(broken)
    kept = report.checks[0].broken_by[0].transcript
    assert [entry.number for entry in kept.entries] == list(range(3 * MOST_ENTRIES))
    assert sum(bool(entry.who) for entry in kept.entries) == MOST_ENTRIES + 1
    assert kept.entries[2 * MOST_ENTRIES].what == "word"
    assert sum('"entry"' in line for line in ndjson(report, "adapter").splitlines()) == MOST_ENTRIES + 1


def test_many_findings_are_counted_and_the_first_are_told() -> None:
    broken = replace(case(), findings=[Finding(BROKEN, "good", f"bad {number}") for number in range(20)])
    findings = _cleaned(broken).checks[0].broken_by[0].findings
    assert len(findings) == 20
    assert sum(map(is_told, findings)) == 5


def _cleaned(broken: CaseReport) -> SuiteReport:
    check = CheckReport(check=run().checks[0].check, outcome=Outcome.FAIL, executed=1, broken_by=[broken])
    return cleaned(replace(run(), checks=[check]), SPEC)
