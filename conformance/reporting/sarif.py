"""`results.sarif`: the rules that were broken, as a SARIF 2.1.0 log, for code scanning and for editors.

A result stands at the requirement's sentence in the specification: the kit knows no line of the adapter. What passed
or did not apply is no result, because some readers take every result for an alert: it is told with the rule. A failure
that the baseline expects is suppressed.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from .summary import MEANINGS

if TYPE_CHECKING:
    from adapter_api import JsonValue

    from .record import BrokenCase, CheckResult, KitError, Moment, Record

    Member = dict[str, JsonValue]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"warn": "warning", "expected-failure": "note"}


def sarif(record: Record) -> str:
    """Return the log, with one run in it."""
    places = {check.id: number for number, check in enumerate(record.checks)}
    run: Member = {
        "tool": {"driver": _driver(record)},
        "automationDetails": {"id": f"conformance/{record.subject}/"},
        "invocations": [_invocation(record)],
        "results": [_result(record, check, places[check.id]) for check in record.broken if check.text],
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _driver(record: Record) -> Member:
    return {
        "name": "conformance",
        "semanticVersion": record.suite.version,
        "rules": [_rule(record, check) for check in record.checks],
    }


def _rule(record: Record, check: CheckResult) -> Member:
    sentences = " ".join(f"{id}: {record.requirements[id].statement}" for id in check.requirements)
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": sentences or check.title},
        "help": {"text": "\n".join(check.causes) or check.title},
        "defaultConfiguration": {"level": "error" if check.level == "MUST" else "warning"},
        "properties": {
            "tags": [check.group, check.level, *check.requirements],
            "outcome": check.outcome,
            "meaning": MEANINGS[check.outcome],
            "reason": check.reason,
        },
    }


def _invocation(record: Record) -> Member:
    """Return how the run went; whether the adapter conforms is in the results."""
    return {
        "executionSuccessful": record.verdict in {"conforming", "not-conforming"},
        "exitCode": record.exit_code,
        "toolExecutionNotifications": [_notification(error) for error in record.kit_errors],
    }


def _notification(error: KitError) -> Member:
    text = f"a fault of the kit in {error.scene}/{error.case}\n{error.trace}"
    return {"level": "error", "message": {"text": text}}


def _result(record: Record, check: CheckResult, place: int) -> Member:
    member: Member = {
        "ruleId": check.id,
        "ruleIndex": place,
        "kind": "fail",
        "level": _LEVELS.get(check.outcome, "error"),
        "message": {"text": check.text},
        "locations": [_location(record, id) for id in check.requirements[:1]],
        "partialFingerprints": {"checkOfAdapter/v1": sha256(f"{record.subject} {check.id}".encode()).hexdigest()},
        "properties": {"outcome": check.outcome, "requirements": list(check.requirements), "cases": check.broken},
    }
    if check.outcome == "expected-failure":
        member["suppressions"] = [{"kind": "external", "justification": check.reason}]
    if check.cases:
        member["codeFlows"] = [{"threadFlows": [_flow(case)]} for case in check.cases if case.moments]
    return member


def _location(record: Record, id: str) -> Member:
    rule = record.requirements[id]
    return {
        "physicalLocation": {"artifactLocation": {"uri": rule.document}, "region": {"startLine": rule.line}},
        "logicalLocations": [{"name": record.subject, "kind": "module"}],
    }


def _flow(case: BrokenCase) -> Member:
    return {
        "message": {"text": f"{case.scene}/{case.case}, seed {case.seed}"},
        "locations": [_step(moment) for moment in case.moments],
    }


def _step(moment: Moment) -> Member:
    return {
        "location": {"message": {"text": f"t={moment.at_s:g} {moment.who}: {moment.what}"}},
        "executionOrder": moment.number + 1,
        "importance": "essential" if moment.is_wrong else "important",
    }
