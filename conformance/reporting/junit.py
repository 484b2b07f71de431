"""`junit.xml`: a test suite for each group, a test case for each check, for whatever reads JUnit's form.

A warning passes and says why in its output, and so does a failure that the baseline expects; a check that could not be
tried is a failure; a fault of the kit is an error. Requirements, the outcome and what it means are properties. Times
are zero: the kit's times are virtual, and real ones would differ each run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .summary import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .record import CheckResult, KitError, Record

_KIT = "the kit itself"
_FAILURES = frozenset({"fail", "not-testable", "nondeterministic", "stale-baseline"})


def junit(record: Record) -> str:
    """Return the document."""
    name = f"conformance of {record.subject}"
    root = Element("testsuites", {"name": name} | _counts(record.checks, record.kit_errors))
    for group in record.groups:
        checks = [check for check in record.checks if check.group == group]
        suite = SubElement(root, "testsuite", {"name": group} | _counts(checks))
        for check in checks:
            _add_check(suite, record, check)
    if record.kit_errors:
        suite = SubElement(root, "testsuite", {"name": _KIT} | _counts((), record.kit_errors))
        for error in record.kit_errors:
            _add_kit_error(suite, record, error)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _counts(checks: Sequence[CheckResult], errors: Sequence[KitError] = ()) -> dict[str, str]:
    """Return the counting attributes of a suite; a fault of the kit counts once, as a case of its own."""
    failures = sum(check.outcome in _FAILURES for check in checks)
    skipped = sum(check.outcome == "not-applicable" for check in checks)
    kit = sum(check.outcome == "kit-error" for check in checks) + len(errors)
    return {
        "tests": str(len(checks) + len(errors)),
        "failures": str(failures),
        "errors": str(kit),
        "skipped": str(skipped),
        "time": "0",
    }


def _add_check(suite: Element, record: Record, check: CheckResult) -> None:
    place = f"conformance.{record.subject}.{check.group}"
    case = SubElement(suite, "testcase", classname=place, name=f"{check.id} {check.title}", time="0")
    properties = SubElement(case, "properties")
    for requirement in check.requirements:
        SubElement(properties, "property", name="requirement", value=requirement)
    SubElement(properties, "property", name="level", value=check.level)
    SubElement(properties, "property", name="outcome", value=check.outcome)
    SubElement(properties, "property", name="meaning", value=MEANINGS[check.outcome])
    if check.outcome in _FAILURES:
        SubElement(case, "failure", type=check.outcome, message=_message(check)).text = check.text
    elif check.outcome == "kit-error":
        message = f"a fault of the kit, not of the {record.kind}"
        SubElement(case, "error", type=check.outcome, message=message).text = check.text
    elif check.outcome == "not-applicable":
        SubElement(case, "skipped", message=check.reason)
    elif check.text:
        SubElement(case, "system-out").text = check.text


def _message(check: CheckResult) -> str:
    found = [finding for case in check.cases for finding in case.findings]
    told = f"expected {found[0].expected}; {found[0].actual}" if found else ""
    return "; ".join(filter(None, (check.reason, told)))


def _add_kit_error(suite: Element, record: Record, error: KitError) -> None:
    place = f"conformance.{record.subject}.{_KIT}"
    case = SubElement(suite, "testcase", classname=place, name=f"{error.scene}/{error.case}", time="0")
    SubElement(case, "error", type="kit-error", message="a fault of the kit").text = error.trace
