"""`badge.json`: one line for a shield, in the form that shields.io reads from an address (schema version 1).

What it says is counted in checks that bind, so a warning does not change it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conformance.under_test import ADAPTER

if TYPE_CHECKING:
    from .record import Record

_COLORS = {"conforming": "brightgreen", "not-conforming": "red"}


def badge(record: Record) -> str:
    """Return the text of the badge."""
    members = {
        "schemaVersion": 1,
        "label": f"{record.kind} conformance",
        "message": _message(record),
        "color": _COLORS.get(record.verdict, "lightgrey"),
        "isError": record.verdict == "kit-error",
    }
    return json.dumps(members, indent=2) + "\n"


def _message(record: Record) -> str:
    if record.verdict not in {"conforming", "not-conforming"}:
        return "no verdict"
    binding = [check for check in record.checks if check.level == "MUST" and check.outcome != "not-applicable"]
    held = sum(check.outcome == "pass" for check in binding)
    part = "" if record.is_whole else "partly run, "
    part += "black box, " if record.is_black_box and record.kind == ADAPTER else ""
    return f"{part}{held}/{len(binding)} MUST, suite {record.suite.version}"
