"""`SUMMARY.md`: what a person wants to see first in CI, for a step summary or a comment.

Texts that come from the adapter stand in fences only, and a fence is longer than any that they have in them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance import outcome as outcomes
from conformance.outcome import Outcome
from conformance.under_test import SERVICE

from .recording import word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import CheckResult, Record

VERDICTS = {
    "conforming": "conforms",
    "not-conforming": "does not conform",
    "kit-error": "no verdict, the kit itself failed",
    "too-little-ran": "no verdict, too little could be tried",
}
_RUNNING_ENGINE = "a running engine in real time, so nothing was induced in it"
_RUNNING_SERVICE = "a running service in real time, so the next run may differ"
WORDS = {
    "pass": "pass",
    "fail": "fail",
    "warn": "warning",
    "not-applicable": "n/a",
    "not-testable": "not testable",
    "expected-failure": "expected failure",
    "stale-baseline": "stale baseline",
    "nondeterministic": "nondeterministic",
    "kit-error": "kit error",
}
"""Outcome -> how it is written for people."""
MEANINGS = {word(each): outcomes.MEANINGS[each] for each in Outcome}
"""Outcome -> what it means, and whether it counts."""
_MOST_TOLD = 10
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#|~@&$])")


def summary(record: Record) -> str:
    """Return the page."""
    return "\n".join(_lines(record)) + "\n"


def scope(record: Record) -> str:
    """Return what was left out, and that a run was in real time; empty for a whole run in virtual time."""
    part = "" if record.is_whole else "; some checks were left out"
    if record.is_black_box:
        part += f"; {_RUNNING_SERVICE if record.kind == SERVICE else _RUNNING_ENGINE}"
    return part


def quoted(text: str) -> str:
    """Return a text for a line of Markdown, with nothing in it that Markdown would act on."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str = "text") -> str:
    """Return a text in a fence that it cannot leave."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _lines(record: Record) -> Iterator[str]:
    yield f"# Conformance of {quoted(record.subject)}"
    yield ""
    yield f"**{VERDICTS[record.verdict]}**: {_tally(record)}."
    yield ""
    seed = "" if record.kind == SERVICE else f"seed {record.seed}, "
    yield f"{record.cases} cases, {seed}suite {record.suite.version}, {_scope(record)}."
    yield ""
    yield from _groups(record)
    yield from _broken(record)
    yield from _excused(record)
    yield "## Reproduce"
    yield ""
    yield fenced(record.reproduce, "sh")


def _tally(record: Record) -> str:
    return ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in record.totals.items())


def _scope(record: Record) -> str:
    total = record.suite.requirements
    return f"{len(record.checks)} checks for {len(record.requirements)} of {total} requirements{scope(record)}"


def _groups(record: Record) -> Iterator[str]:
    yield f"| group | {' | '.join(WORDS[outcome] for outcome in record.totals)} |"
    yield f"|---|{'---:|' * len(record.totals)}"
    for group, counts in record.groups.items():
        yield f"| {group} | {' | '.join(str(counts.get(outcome) or '·') for outcome in record.totals)} |"
    yield ""
    told = [outcome for outcome in record.totals if outcome != "pass"]
    yield from (f"* {WORDS[outcome]}: {MEANINGS[outcome]}." for outcome in told)
    if told:
        yield ""


def _broken(record: Record) -> Iterator[str]:
    told = [check for check in record.broken if check.text]
    if told:
        yield "## What was found"
        yield ""
    for check in told[:_MOST_TOLD]:
        yield from _block(check)
    if len(told) > _MOST_TOLD:
        yield f"And {len(told) - _MOST_TOLD} more: {', '.join(check.id for check in told[_MOST_TOLD:])}."
        yield ""
    for error in record.kit_errors[:1]:
        yield f"A fault of the kit in {quoted(f'{error.scene}/{error.case}')}:"
        yield ""
        yield fenced(error.trace)
        yield ""


def _block(check: CheckResult) -> Iterator[str]:
    yield f"### {check.id} {check.title}"
    yield ""
    yield fenced(check.text)
    yield ""


def _excused(record: Record) -> Iterator[str]:
    excused: dict[str, list[str]] = {}
    for check in record.checks:
        if check.outcome == "not-applicable":
            excused.setdefault(check.reason, []).append(check.id)
    if excused:
        yield "## Not applicable"
        yield ""
        yield from (f"* {', '.join(ids)}: {quoted(reason)}" for reason, ids in excused.items())
        yield ""
