"""The forms of a verdict: the same findings in each, and nothing in a text can break out of its form."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from conformance.gate.codes import CODES
from conformance.gate.finding import Finding, Place
from conformance.gate.rendering import as_github, as_json, as_text
from conformance.gate.verdict import verdict

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("%:,\r\n"), max_size=20)
FINDINGS = st.builds(
    Finding, st.sampled_from(list(CODES)), st.builds(Place, words, st.integers(1, 999)), words, words
)  # fmt: skip


@given(findings=st.lists(FINDINGS, max_size=6))
def test_json_has_every_finding_once_and_in_order(findings: list[Finding]) -> None:
    found = verdict(findings)
    told = json.loads(as_json(found, None))
    assert [(each["code"], each["file"], each["line"], each["message"]) for each in told["findings"]] == [
        (each.code_id, each.place.file, each.place.line, each.message) for each in found.findings
    ]
    assert told["exit_code"] == found.exit_code
    assert len(found.findings) == len(set(findings))
    assert [each.code_id for each in found.findings] == sorted(each.code_id for each in found.findings)


@given(findings=st.lists(FINDINGS, max_size=6))
def test_annotations_are_one_line_each_and_can_be_read_back(findings: list[Finding]) -> None:
    found = verdict(findings)
    *lines, last = as_github(found, None).rstrip("\n").split("\n")
    assert last.startswith("gate: ")
    assert len(lines) == len(found.findings)
    for line, each in zip(lines, found.findings, strict=True):
        head, _, message = line.removeprefix("::").partition("::")
        severity, _, properties = head.partition(" ")
        assert severity == each.code.severity
        assert len(properties.split(",")) == 3
        plain = message.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        assert plain == f"{each.message} -> {each.code.fix}"


def test_text_without_a_project_is_findings_and_sum() -> None:
    finding = Finding("SPEC114", Place("a.md", 3), "x", "too much")
    assert as_text(verdict([finding]), None) == (
        "SPEC114 warning a.md:3 x: too much -> lower `unproved_advice`\ngate: conforms: 0 errors, 1 warning\n"
    )
