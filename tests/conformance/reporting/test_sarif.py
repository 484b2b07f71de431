from __future__ import annotations

import json

from hypothesis import given

from conformance.reporting.sarif import sarif

from .runs import BROKEN, good, record, texts


class Log:
    """A log that was read, with the members that a reader of SARIF 2.1.0 relies on."""

    def __init__(self, text: str) -> None:
        self.log = json.loads(text)
        (self.run,) = self.log["runs"]
        self.rules = self.run["tool"]["driver"]["rules"]
        self.results = self.run["results"]


def test_the_members_that_sarif_requires_are_there() -> None:
    log = Log(sarif(record(kit_error="Traceback: broke")))
    assert log.log["version"] == "2.1.0"
    assert log.run["tool"]["driver"]["name"] == "conformance"
    assert len({rule["id"] for rule in log.rules}) <= len(log.rules)
    for result in log.results:
        assert result["message"]["text"]
        assert log.rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"].startswith("specs/")
        assert location["physicalLocation"]["region"]["startLine"] >= 1


def test_what_is_wrong_is_a_result_and_what_passed_is_none() -> None:
    assert Log(sarif(good())).results == []
    outcomes = [result["properties"]["outcome"] for result in Log(sarif(record())).results]
    assert {"fail", "warn", "not-testable"} <= set(outcomes)
    assert not {"pass", "not-applicable"} & set(outcomes)


def test_a_fault_of_the_kit_makes_the_run_unsuccessful() -> None:
    (invocation,) = Log(sarif(record(kit_error="Traceback: broke"))).run["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 3)
    assert "Traceback: broke" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_the_transcript_is_the_flow_to_the_fault() -> None:
    result = next(result for result in Log(sarif(record())).results if result["ruleId"] == BROKEN)
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["executionOrder"] for step in steps] == [1, 2]
    assert steps[1]["importance"] == "essential"


@given(texts)
def test_any_text_makes_a_log(text: str) -> None:
    assert Log(sarif(record(text, kit_error=text))).results


def test_a_result_is_the_same_one_in_the_next_run() -> None:
    first, second = (Log(sarif(record(text))).results for text in ("one", "two"))
    prints = [[each["partialFingerprints"]["checkOfAdapter/v1"] for each in log] for log in (first, second)]
    assert prints[0] == prints[1]
