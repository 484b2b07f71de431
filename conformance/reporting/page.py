"""`report.html`: the run as one page that needs nothing but itself.

The order is that of reading: verdict, what the outcomes mean, matrix, what is wrong, every check, how to repeat it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from conformance.under_test import SERVICE

from .page_failures import failures, kit_errors
from .page_parts import SIGNS, data_of, document, filter_form, legend, mark, requirement, sentence
from .summary import VERDICTS, WORDS, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import CheckResult, Record

_VERDICT_MARKS = {"conforming": "pass", "not-conforming": "fail", "kit-error": "kit-error", "too-little-ran": "warn"}


def page(record: Record) -> str:
    """Return the document."""
    return document(f"Conformance of {record.subject}", _body(record))


def _body(record: Record) -> Iterator[str]:
    yield from _head(record)
    yield from filter_form(record.totals, _example(record), has_blocks=bool(record.broken))
    yield from _matrix(record)
    yield from failures(record)
    yield from kit_errors(record)
    yield from _table(record)
    yield "<h2>Reproduce</h2>"
    yield f"<pre>{escape(record.reproduce)}</pre>"


def _head(record: Record) -> Iterator[str]:
    suite = record.suite
    seed = "" if record.kind == SERVICE else f", seed {record.seed}"
    yield f"<header><h1>Conformance of {escape(record.subject)}</h1>"
    yield f'<p class="verdict">{mark(_VERDICT_MARKS[record.verdict], VERDICTS[record.verdict])}</p>'
    yield '<ul class="tally">'
    yield from (f"<li>{mark(outcome, f'{count} {WORDS[outcome]}')}</li>" for outcome, count in record.totals.items())
    yield "</ul>"
    yield (
        f'<p class="faint">{len(record.checks)} checks for {len(record.requirements)} of {suite.requirements} '
        f"requirements, {record.cases} cases{seed}{scope(record)}.<br>"
        f'Suite {escape(suite.version)}, specification <code title="{suite.sha256}">{suite.sha256[:12]}</code>.</p>'
    )
    yield from legend(record.totals)
    yield "</header>"


def _example(record: Record) -> str:
    return "S-CAN-01, cancel, SSE-1002" if record.kind == SERVICE else "CAN-01, cancel, ADAPT-3101a"


def _matrix(record: Record) -> Iterator[str]:
    yield '<h2 id="matrix">Matrix</h2>'
    if not record.groups:
        yield "<p>No check was played.</p>"
        return
    yield '<div class="wide"><table class="matrix"><tbody>'
    for group in record.groups:
        cells = "".join(_cell(check) for check in record.checks if check.group == group)
        yield f'<tr><th scope="row">{escape(group)}</th><td><div class="cells">{cells}</div></td></tr>'
    yield "</tbody></table></div>"


def _cell(check: CheckResult) -> str:
    about = escape(f"{check.title}: {WORDS[check.outcome]}")
    place = f"failure-{check.id}" if check.is_told else check.id
    sign = SIGNS[check.outcome]
    return f'<a class="mark {check.outcome}" href="#{place}" title="{about}" {data_of(check)}>{check.id} {sign}</a>'


def _table(record: Record) -> Iterator[str]:
    yield '<h2 id="checks">Checks</h2>'
    yield '<div class="wide"><table class="checks"><thead><tr><th scope="col">check</th><th scope="col">level</th>'
    yield '<th scope="col">outcome</th><th scope="col" class="number">cases</th><th scope="col">rule</th>'
    yield '<th scope="col">requirements</th></tr></thead><tbody>'
    yield from (_row(record, check) for check in record.checks)
    yield "</tbody></table></div>"


def _row(record: Record, check: CheckResult) -> str:
    outcome = mark(check.outcome, WORDS[check.outcome])
    if check.is_told:
        broken = f' <span class="faint">{check.broken} broken</span>' if check.cases else ""
        outcome = f'<a href="#failure-{check.id}">{outcome}</a>{broken}'
    reason = f'<div class="faint">{escape(check.reason)}</div>' if check.reason else ""
    rules = ", ".join(requirement(id, record.requirements[id]) for id in check.requirements)
    return (
        f'<tr id="{check.id}" {data_of(check)}><th scope="row" class="mono">{check.id}</th><td>{check.level}</td>'
        f'<td>{outcome}</td><td class="number">{check.played}</td><td>{sentence(check.title)}{reason}</td>'
        f'<td class="mono">{rules}</td></tr>'
    )
