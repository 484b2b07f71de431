"""The verdict as SARIF 2.1.0, which code hosts and editors read."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from .codes import CODES

if TYPE_CHECKING:
    from .codes import Code
    from .facts import Project
    from .finding import Finding
    from .verdict import Verdict

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(verdict: Verdict, _project: Project | None) -> str:
    """Return a SARIF 2.1.0 log; places are told by URIs, relative to the folder in which the gate was run."""
    used = sorted({each.code_id for each in verdict.findings})
    rules = [_rule(CODES[id]) for id in used]
    results = [
        {
            "ruleId": each.code_id,
            "ruleIndex": used.index(each.code_id),
            "level": each.code.severity,
            "message": {"text": f"{each.message}\n{each.code.fix}"},
            "locations": [_location(each)],
            "partialFingerprints": {"subject/v1": f"{each.code_id} {each.about}"},
        }
        for each in verdict.findings
    ]
    run = {
        "tool": {"driver": {"name": "conformance gate", "semanticVersion": version("orchestratord"), "rules": rules}},
        "automationDetails": {"id": "conformance-gate/"},
        "invocations": [{"executionSuccessful": True, "exitCode": int(verdict.exit_code)}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(code: Code) -> dict[str, object]:
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.title.split()),
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {"text": f"What to do: {code.fix}."},
        "defaultConfiguration": {"level": code.severity},
    }


def _location(each: Finding) -> dict[str, object]:
    path = PurePath(each.place.file)
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": each.place.line}}}
