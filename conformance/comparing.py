"""Compares two plays of one case with one seed: they have to be the same."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from .findings import Finding
from .outcome import TWICE

if TYPE_CHECKING:
    from .outcome import CaseReport

_VARYING = re.compile(r"\b0x[0-9a-fA-F]{6,}|(?<=\[redacted:)[\w-]+:[0-9a-f]+")
"""What may differ between two plays: addresses in memory, and fingerprints of secrets, whose key is drawn anew."""


def compared(first: CaseReport, second: CaseReport) -> CaseReport:
    """Return the first play, with a finding if the second was another."""
    if second.kit_error is not None:
        return replace(first, kit_error=second.kit_error)
    lines = zip_longest(lines_of(first), lines_of(second), fillvalue="(nothing more)")
    number, (once, again) = next(
        ((number, pair) for number, pair in enumerate(lines) if pair[0] != pair[1]), (0, ("", ""))
    )
    if once == again:
        return first
    if number < len(first.transcript.entries):
        first.transcript.mark(first.transcript.entries[number])
    actual = f"at #{number}, at first: {once}\nplayed again: {again}"
    differs = Finding(TWICE, "the same when the case is played again with the same seed", actual)
    return replace(first, findings=tuple(dict.fromkeys((*first.findings, *second.findings, differs))))


def lines_of(report: CaseReport) -> list[str]:
    """Return all that happened and was found, as text without what may vary."""
    entries = [f"t={each.at_s:.10g} {each.who}: {each.what}" for each in report.transcript.entries]
    found = [f"{each.check_id} expected {each.expected}; {each.actual}" for each in report.findings]
    return [_VARYING.sub("...", line) for line in (*entries, *found, str(report.excuse or ""))]
