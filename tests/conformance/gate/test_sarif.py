"""The log is SARIF 2.1.0: what we use of it, as its schema has it, and nothing besides."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from conformance.gate.codes import CODES
from conformance.gate.finding import Finding, Place
from conformance.gate.sarif import as_sarif
from conformance.gate.verdict import verdict

from .test_rendering import FINDINGS

URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:|[^:/?#]*(?=[/?#]|$)|/)(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*")


def closed(required: str, **properties: object) -> dict[str, object]:
    """An object with these members and no other, as the schema of SARIF has them all."""
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def listed(item: object) -> dict[str, object]:
    return {"type": "array", "items": item}


TEXT: dict[str, object] = {"type": "string"}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
MESSAGE = closed("text", text=TEXT)
RULE = closed(
    "id",
    id=TEXT,
    name=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=closed("", level=LEVEL),
)
DRIVER = closed("name", name=TEXT, semanticVersion=TEXT, rules={**listed(RULE), "uniqueItems": True})
PLACE = closed(
    "artifactLocation",
    artifactLocation=closed("uri", uri=TEXT),
    region=closed("startLine", startLine={"type": "integer", "minimum": 1}),
)
RESULT = closed(
    "message",
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=MESSAGE,
    locations=listed(closed("physicalLocation", physicalLocation=PLACE)),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
)
RUN = closed(
    "tool",
    tool=closed("driver", driver=DRIVER),
    automationDetails=closed("id", id=TEXT),
    invocations=listed(
        closed("executionSuccessful", executionSuccessful={"type": "boolean"}, exitCode={"type": "integer"})
    ),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=listed(RESULT),
)
LOG = closed("version runs", **{"$schema": TEXT, "version": {"const": "2.1.0"}, "runs": listed(RUN)})


@given(findings=st.lists(FINDINGS, max_size=6))
def test_every_log_is_one_by_its_schema(findings: list[Finding]) -> None:
    log = json.loads(as_sarif(verdict(findings), None))
    Draft202012Validator(LOG).validate(log)
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == rules[result["ruleIndex"]]["defaultConfiguration"]["level"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert URI.fullmatch(uri), uri


def test_a_place_is_told_as_a_uri() -> None:
    places = [Place("specs/a b#c.md", 3), Place("/tmp/é.md"), Place("100%.md")]
    log = json.loads(as_sarif(verdict(Finding("SPEC003", place, "x", "y") for place in places), None))
    told = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in log["runs"][0]["results"]]
    assert told == ["file:///tmp/%C3%A9.md", "100%25.md", "specs/a%20b%23c.md"]


def test_every_code_is_a_rule_that_is_explained() -> None:
    findings = [Finding(id, Place("a.md"), "x", "y") for id in CODES]
    log = json.loads(as_sarif(verdict(findings), None))
    Draft202012Validator(LOG).validate(log)
    rules = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {id: rules[id]["shortDescription"]["text"] for id in CODES} == {id: code.title for id, code in CODES.items()}
    assert log["runs"][0]["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
