"""All nine ways to come out are shown, and explained, in each thing that is made of a run."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, cast
from xml.etree import ElementTree

import pytest
from rich.console import Console

from conformance.outcome import MEANINGS, Exit, Outcome
from conformance.report import Report
from conformance.reporting import Record, read_record, report_files
from conformance.reporting.recording import word
from conformance.reporting.summary import WORDS

from .nine import ALIKE, OF, REASONS, nine
from .runs import SPEC
from .test_page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES: Mapping[str, str] = {name: text.decode() for name, text in report_files(nine(), SPEC).items()}
RECORD: Record = read_record(FILES["report.json"])
TOLD = [outcome for outcome in Outcome if outcome not in {Outcome.PASS, Outcome.NOT_APPLICABLE}]
each_outcome = pytest.mark.parametrize("outcome", Outcome, ids=word)


def test_there_is_one_of_each() -> None:
    assert len(Outcome) == len(OF) == 9
    assert list(MEANINGS) == list(Outcome)
    assert RECORD.totals == {word(outcome): 1 for outcome in Outcome}
    assert RECORD.exit_code == Exit.KIT_ERROR


@each_outcome
def test_the_record_has_it_with_its_reason_and_a_block(outcome: Outcome) -> None:
    check = next(check for check in RECORD.checks if check.outcome == word(outcome))
    assert (check.id, check.reason) == (OF[outcome].id, REASONS.get(outcome, ""))
    if outcome is Outcome.PASS:
        assert not check.text
        return
    assert check.text.startswith(f"{outcome.upper()} {check.id} (")
    assert SPEC.requirement(check.requirements[0]).statement[:30] in check.text
    assert check.reason in check.text
    assert f"reproduce python -m conformance run --adapter mine --only {check.id}" in check.text or check.cases
    assert (f"what {check.id} saw" in check.text) is (outcome in ALIKE or outcome is Outcome.NONDETERMINISTIC)


@each_outcome
def test_the_page_shows_and_explains_it(outcome: Outcome) -> None:
    shown, check = Page(FILES["report.html"]), OF[outcome]
    assert [each for _, each in shown.tags if each.get("id") == check.id and each["data-outcome"] == word(outcome)]
    assert f"1 {WORDS[word(outcome)]}" in shown.text
    assert REASONS.get(outcome, "") in shown.text
    assert outcome is Outcome.PASS or MEANINGS[outcome] in shown.text
    has_block = any(each.get("id") == f"failure-{check.id}" for _, each in shown.tags)
    assert has_block is (outcome in TOLD)


@each_outcome
def test_the_summary_shows_and_explains_it(outcome: Outcome) -> None:
    text, name = FILES["SUMMARY.md"], WORDS[word(outcome)]
    assert f"1 {name}" in text
    assert f"| {name} |" in text
    if outcome is not Outcome.PASS:
        assert f"* {name}: {MEANINGS[outcome]}." in text
        assert OF[outcome].id in text
        assert REASONS.get(outcome, "") in text


@each_outcome
def test_junit_shows_and_explains_it(outcome: Outcome) -> None:
    root = ElementTree.fromstring(FILES["junit.xml"])
    case = next(each for each in root.iter("testcase") if each.attrib["name"].startswith(f"{OF[outcome].id} "))
    properties = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
    assert (properties["outcome"], properties["meaning"]) == (word(outcome), MEANINGS[outcome])
    kind = {
        Outcome.FAIL: "failure",
        Outcome.NOT_TESTABLE: "failure",
        Outcome.NONDETERMINISTIC: "failure",
        Outcome.STALE_BASELINE: "failure",
        Outcome.KIT_ERROR: "error",
        Outcome.NOT_APPLICABLE: "skipped",
    }.get(outcome, "system-out" if outcome is not Outcome.PASS else None)
    assert [each.tag for each in case if each.tag != "properties"] == ([kind] if kind else [])
    told = "".join(f"{each.attrib.get('message', '')}{each.text}" for each in case)
    assert REASONS.get(outcome, "") in told


@each_outcome
def test_sarif_shows_and_explains_it(outcome: Outcome) -> None:
    [log] = json.loads(FILES["results.sarif"])["runs"]
    rule = next(each for each in log["tool"]["driver"]["rules"] if each["id"] == OF[outcome].id)
    properties = cast("dict[str, object]", rule["properties"])
    assert (properties["outcome"], properties["meaning"]) == (word(outcome), MEANINGS[outcome])
    assert properties["reason"] == REASONS.get(outcome, "")
    results = [each for each in log["results"] if each["ruleId"] == OF[outcome].id]
    assert len(results) == (outcome in TOLD)
    if results:
        assert results[0]["message"]["text"].startswith(f"{outcome.upper()} ")
        level = {Outcome.WARN: "warning", Outcome.EXPECTED_FAILURE: "note"}.get(outcome, "error")
        assert results[0]["level"] == level
    if outcome is Outcome.EXPECTED_FAILURE:
        assert results[0]["suppressions"] == [{"kind": "external", "justification": REASONS[outcome]}]


@each_outcome
def test_the_transcript_has_it_with_its_reason(outcome: Outcome) -> None:
    lines = [json.loads(line) for line in FILES["transcript.ndjson"].splitlines()]
    wanted = {"type": "check", "id": OF[outcome].id, "outcome": word(outcome), "reason": REASONS.get(outcome, "")}
    assert wanted in lines


def printed(*, is_verbose: bool) -> str:
    out = io.StringIO()
    Report(Console(file=out, width=200, highlight=False), str).finish(nine(), SPEC, 1.0, is_verbose=is_verbose)
    return out.getvalue()


@each_outcome
@pytest.mark.parametrize("is_verbose", [False, True])
def test_the_terminal_shows_and_explains_it(outcome: Outcome, is_verbose: bool) -> None:
    shown = printed(is_verbose=is_verbose)
    assert f"1 {outcome}" in shown
    assert REASONS.get(outcome, "") in shown
    if outcome not in {Outcome.PASS, Outcome.FAIL}:
        assert f"{outcome}: {MEANINGS[outcome]}" in shown
        assert OF[outcome].id in shown


def test_a_badge_does_not_hide_that_there_is_no_verdict() -> None:
    assert json.loads(FILES["badge.json"])["message"] == "no verdict"
