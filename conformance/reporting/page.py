"""`report.html`: the run as one page that needs nothing but itself.

Style and script are inside, and its content policy lets nothing else in, by their hashes. Without script all is there
but the filter. The order is that of reading: verdict, matrix, what is wrong, every check, how to repeat it.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .page_failures import failures, kit_errors
from .summary import BLACK_BOX, VERDICTS, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .record import CheckResult, Record

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
_SIGNS = {
    "pass": "✓",
    "fail": "✗",
    "warn": "!",
    "expected-failure": "!",
    "not-applicable": "–",
    "not-testable": "?",
    "nondeterministic": "≠",
    "stale-baseline": "✗",
    "kit-error": "⚠",
}
_VERDICT_MARKS = {"conforming": "pass", "not-conforming": "fail", "kit-error": "kit-error", "too-little-ran": "warn"}


def page(record: Record) -> str:
    """Return the document."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Record) -> Iterator[str]:
    title = f"Conformance of {escape(record.subject)}"
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield from _head(record, title)
    yield from _matrix(record)
    yield from failures(record)
    yield from kit_errors(record)
    yield from _table(record)
    yield "<h2>Reproduce</h2>"
    yield f"<pre>{escape(record.reproduce)}</pre>"
    yield f"<script>{SCRIPT}</script>"
    yield "</body>"
    yield "</html>"


def _policy() -> str:
    return f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _head(record: Record, title: str) -> Iterator[str]:
    suite = record.suite
    yield f"<header><h1>{title}</h1>"
    yield f'<p class="verdict">{_mark(_VERDICT_MARKS[record.verdict], VERDICTS[record.verdict])}</p>'
    yield '<ul class="tally">'
    yield from (f"<li>{_mark(outcome, f'{count} {WORDS[outcome]}')}</li>" for outcome, count in record.totals.items())
    yield "</ul>"
    part = "" if record.is_whole else "; some checks were left out"
    part += BLACK_BOX if record.is_black_box else ""
    yield (
        f'<p class="faint">{len(record.checks)} checks for {len(record.requirements)} of {suite.requirements} '
        f"requirements, {record.cases} cases, seed {record.seed}{part}.<br>"
        f'Suite {escape(suite.version)}, specification <code title="{suite.sha256}">{suite.sha256[:12]}</code>.</p>'
    )
    yield "</header>"


def _matrix(record: Record) -> Iterator[str]:
    yield '<h2 id="matrix">Matrix</h2>'
    yield '<div class="wide"><table class="matrix"><tbody>'
    for group in record.groups:
        cells = "".join(_cell(check) for check in record.checks if check.group == group)
        yield f'<tr><th scope="row">{escape(group)}</th><td><div class="cells">{cells}</div></td></tr>'
    yield "</tbody></table></div>"


def _cell(check: CheckResult) -> str:
    about = escape(f"{check.title}: {WORDS[check.outcome]}")
    place = f"failure-{check.id}" if check.cases else check.id
    sign = _SIGNS[check.outcome]
    return f'<a class="mark {check.outcome}" href="#{place}" title="{about}">{check.id} {sign}</a>'


def _table(record: Record) -> Iterator[str]:
    yield '<h2 id="checks">Checks</h2>'
    yield from _filter(record)
    yield '<div class="wide"><table><thead><tr><th scope="col">check</th><th scope="col">level</th>'
    yield '<th scope="col">outcome</th><th scope="col" class="number">cases</th><th scope="col">rule</th>'
    yield '<th scope="col">requirements</th></tr></thead><tbody>'
    yield from (_row(record, check) for check in record.checks)
    yield "</tbody></table></div>"


def _filter(record: Record) -> Iterator[str]:
    yield '<form id="filter" hidden><fieldset class="filter"><legend>Show</legend>'
    for outcome in record.totals:
        box = f'<input type="checkbox" value="{outcome}" checked>'
        yield f"<label>{box} {_mark(outcome, WORDS[outcome])}</label>"
    yield '<label>with <input type="search" name="words" placeholder="CAN-01, cancel, ADAPT-3101a"></label>'
    yield '<output id="shown" class="faint" aria-live="polite"></output></fieldset></form>'


def _row(record: Record, check: CheckResult) -> str:
    outcome = _mark(check.outcome, WORDS[check.outcome])
    if check.cases:
        outcome = f'<a href="#failure-{check.id}">{outcome}</a> <span class="faint">{check.broken} broken</span>'
    reason = f'<div class="faint">{escape(check.reason)}</div>' if check.reason else ""
    rules = ", ".join(_requirement(record, id) for id in check.requirements)
    return (
        f'<tr id="{check.id}" {data_of(check)}><th scope="row" class="mono">{check.id}</th><td>{check.level}</td>'
        f'<td>{outcome}</td><td class="number">{check.played}</td><td>{escape(check.title)}{reason}</td>'
        f'<td class="mono">{rules}</td></tr>'
    )


def _requirement(record: Record, id: str) -> str:
    return f'<abbr title="{escape(record.requirements[id].statement)}">{id}</abbr>'


def data_of(check: CheckResult) -> str:
    """Return the attributes that the filter reads."""
    words = escape(" ".join((check.id, check.title, check.group, check.level, *check.requirements)))
    return f'data-outcome="{check.outcome}" data-words="{words}"'


def _mark(outcome: str, text: str) -> str:
    return f'<span class="mark {outcome}">{escape(text)}</span>'
