from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given

from conformance.outcome import Outcome
from conformance.reporting.cleaning import cleaner
from conformance.reporting.junit import junit

from .runs import BROKEN, SPEC, good, record, texts

CLEAN = cleaner(0, SPEC)


def parsed(text: str = "a text", *, kit_error: str | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(junit(record(text, kit_error=kit_error)))


@given(texts)
def test_any_text_makes_well_formed_xml_that_says_the_text(text: str) -> None:
    case = next(case for case in parsed(text).iter("testcase") if case.get("name", "").startswith(BROKEN))
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == f"expected {CLEAN(text)}; {CLEAN(text)}"


def test_counts_are_those_of_the_elements() -> None:
    root = parsed(kit_error="Traceback: broke")
    assert root.tag == "testsuites"
    for suite in (root, *root.iter("testsuite")):
        cases = list(suite.iter("testcase"))
        for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute, "")) == sum(case.find(element) is not None for case in cases)
        assert int(suite.get("tests", "")) == len(cases)


def test_each_outcome_is_what_a_reader_of_junit_takes_it_for() -> None:
    told: dict[str, set[str]] = {}
    for case in parsed().iter("testcase"):
        (outcome,) = (each.get("value", "") for each in case.iter("property") if each.get("name") == "outcome")
        told[outcome] = {child.tag for child in case} - {"properties"}
    assert told["pass"] == set()
    assert told["fail"] == told["not-testable"] == {"failure"}
    assert told["warn"] == {"system-out"}
    assert told["not-applicable"] == {"skipped"}
    assert told["kit-error"] == {"error"}
    assert len(told) == len(Outcome)


def test_each_case_names_the_requirements() -> None:
    case = next(case for case in ElementTree.fromstring(junit(good())).iter("testcase"))
    assert [each.get("value") for each in case.iter("property") if each.get("name") == "requirement"]


def test_no_time_is_told() -> None:
    assert {each.get("time") for each in parsed().iter() if "time" in each.keys()} == {"0"}  # noqa: SIM118 - elements
    assert {"timestamp", "hostname"} & {name for each in parsed().iter() for name in each.keys()} == set()  # noqa: SIM118
