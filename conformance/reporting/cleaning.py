"""A run without what may not be in a report: secrets, machine facts, and characters that do something to a reader.

Done once, on the run, before any file is made of it, so no format has a rule of its own. In this order: canaries and
what the redaction table of the specification finds become marks; paths and addresses of this machine go; characters
that are not printed become escapes. A mark has no fingerprint: that would make two runs differ. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from conformance.api import mask_for
from conformance.findings import Finding
from conformance.portable import portable
from conformance.transcript import Entry, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from conformance.outcome import CaseReport, CheckReport, Excuse, SuiteReport
    from specs import Specification

    Clean = Callable[[str], str]

_KEPT = frozenset("\n")
_MARK = re.compile(r"\[canary:\w+\]?")
TOLD_CASES = 3
"""Cases of a broken check that are told with all they saw; the others are named and counted."""
MOST_CHARS = 10_000
"""Characters of one text that are kept; a traceback with causes has some thousand."""
MOST_KIT_ERRORS = 20
"""Faults of the kit that are told; one is enough to take the verdict away."""
TOLD_FINDINGS = 5
"""Findings of one check in one case that are told; the others are counted."""
MOST_ENTRIES = 1000
"""Entries of one case's transcript that are kept, about the place where it went wrong."""


def cleaned(report: SuiteReport, spec: Specification, secrets: Collection[str] = ()) -> SuiteReport:
    """Return the run with every text in it cleaned; what the kit wrote itself stays as it is.

    `secrets` are those that a real engine was opened with.
    """
    clean = cleaner(report.seed, spec, secrets)
    return replace(
        report,
        subject=clean(report.subject),
        checks=[_clean_check(check, clean) for check in report.checks],
        kit_errors=[_clean_case(case, clean) for case in report.kit_errors[:MOST_KIT_ERRORS]],
    )


def cleaner(seed: int, spec: Specification, secrets: Collection[str] = ()) -> Clean:
    """Return a function that cleans one text of a run with this seed."""
    mask, rules = mask_for(seed, secrets), _rules(spec)

    def clean(text: str) -> str:
        text = mask(text)
        for kind, pattern in rules:
            text = pattern.sub(partial(_marked, kind), text)
        return shortened(visible(portable(text)))

    return clean


def is_told(finding: Finding) -> bool:
    """Return whether a finding of a cleaned run has words, or is only there to be counted."""
    return bool(finding.expected or finding.actual)


def visible(text: str) -> str:
    """Return a text whose characters all show; line breaks stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _KEPT else ascii(each)[1:-1] for each in text)


def shortened(text: str) -> str:
    """Return a text of a length that a file can bear; what is cut off is counted."""
    left = len(text) - MOST_CHARS
    return text if left <= 0 else f"{text[:MOST_CHARS]}... ({left} more characters)"


def _clean_check(check: CheckReport, clean: Clean) -> CheckReport:
    told = [_clean_case(case, clean) for case in check.broken_by[:TOLD_CASES]]
    counted = [_bare(case, clean) for case in check.broken_by[TOLD_CASES:]]
    return replace(check, broken_by=[*told, *counted], reason=clean(check.reason))


def _bare(case: CaseReport, clean: Clean) -> CaseReport:
    """Return what is left of a case that is only counted."""
    return replace(case, case=clean(case.case), findings=(), given=(), transcript=Transcript(), excuse=None)


def _clean_case(case: CaseReport, clean: Clean) -> CaseReport:
    return replace(
        case,
        case=clean(case.case),
        findings=list(_clean_findings(case.findings, clean)),
        given=[clean(line) for line in case.given],
        transcript=_clean_transcript(case.transcript, clean),
        excuse=_clean_excuse(case.excuse, clean),
        kit_error=None if case.kit_error is None else clean(case.kit_error),
    )


def _clean_findings(findings: Sequence[Finding], clean: Clean) -> Iterator[Finding]:
    """Yield the findings; of those that are too many for a check only the id is left, so that they can be counted."""
    seen = Counter[str]()
    for each in findings:
        seen[each.check_id] += 1
        is_told = seen[each.check_id] <= TOLD_FINDINGS
        expected, actual = (clean(each.expected), clean(each.actual)) if is_told else ("", "")
        yield Finding(each.check_id, expected, actual)


def _clean_excuse(excuse: Excuse | None, clean: Clean) -> Excuse | None:
    return None if excuse is None else replace(excuse, reason=clean(excuse.reason))


def _clean_transcript(transcript: Transcript, clean: Clean) -> Transcript:
    copy, kept = Transcript(), {each.number for each in transcript.around_marks(MOST_ENTRIES // 2, MOST_ENTRIES // 2)}
    for each in transcript.entries:  # one that is not kept leaves its place empty: an entry's number is its place
        who, what = (clean(each.who), clean(each.what)) if each.number in kept else ("", "")
        copy.entries.append(Entry(each.number, each.at_s, who, what))
    copy.marked |= transcript.marked
    return copy


def _rules(spec: Specification) -> Sequence[tuple[str, re.Pattern[str]]]:
    return [(rule.kind, re.compile(rule.pattern, re.ASCII)) for rule in spec.redaction_rules]


def _marked(kind: str, found: re.Match[str]) -> str:
    """Return the match with its secret marked: the group that took part, or all. A marked canary stays as it is."""
    took_part = next((number for number in range(1, found.re.groups + 1) if found[number]), 0)
    if _MARK.fullmatch(found[took_part]):
        return found[0]
    start, end = (at - found.start() for at in found.span(took_part))
    return f"{found[0][:start]}[redacted:{kind}]{found[0][end:]}"
