from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from conformance import reporting
from conformance.catalogue import CHECKS
from conformance.outcome import Exit, Outcome, SuiteReport
from conformance.reporting import read_record
from conformance.reporting import record as types
from conformance.reporting.badge import badge
from conformance.reporting.cleaning import cleaned
from conformance.reporting.page import page
from conformance.reporting.record import json_text
from conformance.reporting.recording import VERDICTS, recorded, word
from conformance.reporting.summary import summary

from .nine import nine
from .runs import BROKEN, SPEC, good, record, run, texts

SCHEMA = cast(
    "dict[str, dict[str, dict[str, dict[str, object]]]]",
    json.loads((Path(reporting.__file__).parent / "report.schema.json").read_text(encoding="utf-8")),
)
DEFINITIONS = SCHEMA["$defs"]
TYPES = ("Record", "Suite", "Rule", "CheckResult", "BrokenCase", "Found", "Moment", "KitError")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(texts, texts)
def test_every_report_is_valid_and_can_be_read_back(text: str, other: str) -> None:
    made = record(text, adapter=other or "x", kit_error=other)
    Draft202012Validator(SCHEMA).validate(json.loads(json_text(made)))
    assert read_record(json_text(made)) == made


def test_a_report_of_a_run_without_a_failure_is_valid() -> None:
    Draft202012Validator(SCHEMA).validate(json.loads(json_text(good())))


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_has_the_members_of_the_types_and_no_others(name: str) -> None:
    kind = cast("type[msgspec.Struct]", getattr(types, name))
    members = {field.name for field in msgspec.structs.fields(kind)}
    definition = DEFINITIONS[name]
    assert set(definition["properties"]) == members == set(cast("list[str]", definition["required"]))
    assert cast("object", definition["additionalProperties"]) is False


def test_the_schema_has_every_outcome_and_every_verdict() -> None:
    assert {word(outcome) for outcome in Outcome} <= set(cast("list[str]", DEFINITIONS["outcome"]["enum"]))
    verdict = cast("dict[str, dict[str, list[str]]]", DEFINITIONS["Record"]["properties"])["verdict"]["enum"]
    assert set(VERDICTS.values()) == set(verdict)
    assert set(VERDICTS) == set(Exit) - {Exit.USAGE}


def test_a_broken_check_is_told_with_its_first_cases_and_counts_the_others() -> None:
    check = next(check for check in record().checks if check.id == BROKEN and check.broken == 5)
    assert len(check.cases) == 3
    assert check.cases[0].findings[0].expected == "a text"
    assert [moment.is_wrong for moment in check.cases[0].moments] == [False, True]
    assert "python -m conformance run --adapter mine --only FRM-03:everyday/completes" in check.text


def test_a_finding_says_its_sentence_and_its_place_in_the_specification() -> None:
    rule = record().requirements["ADAPT-3010a"]
    found = SPEC.requirement("ADAPT-3010a")
    assert (rule.statement, rule.document, rule.line) == (found.statement, found.document, found.line)


def test_totals_and_groups_count_the_same_checks() -> None:
    made = record()
    assert sum(made.totals.values()) == len(made.checks)
    assert sum(sum(group.values()) for group in made.groups.values()) == len(made.checks)


def test_only_a_run_of_every_check_is_whole() -> None:
    assert good().is_whole
    assert good().reproduce == "python -m conformance run --adapter mine --seed 3 --report DIR"
    assert not record().is_whole
    assert "--only LIF-01," in record().reproduce


@pytest.mark.parametrize(("report", "verdict"), [(run(), "not-conforming"), (run(kit_error="x"), "kit-error")])
def test_the_verdict_is_that_of_the_exit_code(report: SuiteReport, verdict: str) -> None:
    made = recorded(report, SPEC)
    assert (made.verdict, made.exit_code) == (verdict, int(report.exit_code))


def test_a_run_against_a_running_engine_says_so() -> None:
    checks = [replace(each, is_out_of_reach=each.outcome is Outcome.NOT_APPLICABLE) for each in run().checks]
    made = recorded(replace(run(), checks=checks), SPEC)
    assert made.is_black_box
    assert [check.outcome for check in made.checks if check.is_out_of_reach] == ["not-applicable"]
    assert "a running engine in real time" in summary(made)
    assert "a running engine in real time" in page(made)
    assert "black box" in badge(made)


def test_no_check_is_left_out_of_the_catalogue() -> None:
    assert [check.id for check in good().checks] == list(CHECKS)


def test_every_check_has_usual_causes_for_its_failure_text() -> None:
    assert not [check.id for check in CHECKS.values() if not check.causes]


def test_what_is_worst_is_told_first() -> None:
    told = [check.outcome for check in recorded(cleaned(nine(), SPEC), SPEC).broken]
    assert (told[0], told[-2:]) == ("fail", ["warn", "expected-failure"])
    assert len(told) == 7
