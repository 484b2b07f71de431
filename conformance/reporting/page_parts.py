"""What the pages in HTML are made of: the frame, marks of outcomes, the filter, sentences.

Style and script are inside, and the content policy lets nothing else in, by their hashes. Without script all is there
but the filter.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from .summary import MEANINGS, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .record import CheckResult, Rule

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")
SIGNS = {
    "pass": "✓",
    "fail": "✗",
    "warn": "!",
    "expected-failure": "≈",
    "not-applicable": "–",
    "not-testable": "?",
    "nondeterministic": "≠",
    "stale-baseline": "†",
    "kit-error": "⚠",
}
"""Outcome -> a sign for it, so that colour is not all there is."""


def document(title: str, body: Iterable[str]) -> str:
    """Return a page; the title is text, the body HTML."""
    return "\n".join((*_head(title), *body, f"<script>{SCRIPT}</script>", "</body>", "</html>")) + "\n"


def _head(title: str) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>{STYLE}</style>"
    yield "</head>"
    yield "<body>"


def _policy() -> str:
    return f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def mark(outcome: str, text: str) -> str:
    """Return a text on the ground of an outcome."""
    return f'<span class="mark {outcome}">{escape(text)}</span>'


def legend(outcomes: Iterable[str]) -> Iterator[str]:
    """Yield what the outcomes other than a pass mean."""
    told = [outcome for outcome in outcomes if outcome != "pass"]
    if told:
        yield '<dl class="legend">'
        yield from (item(f"{SIGNS[each]} {WORDS[each]}", escape(MEANINGS[each])) for each in told)
        yield "</dl>"


def filter_form(outcomes: Iterable[str], example: str, *, has_blocks: bool) -> Iterator[str]:
    """Yield the filter, which the script shows; with blocks, they can be opened all at once."""
    yield '<form id="filter" hidden><fieldset class="filter"><legend>Show</legend>'
    for outcome in outcomes:
        box = f'<input type="checkbox" value="{outcome}" checked>'
        yield f"<label>{box} {mark(outcome, WORDS[outcome])}</label>"
    yield f'<label>with <input type="search" name="words" placeholder="{escape(example)}"></label>'
    if has_blocks:
        yield '<button type="button" id="toggle">open all</button>'
    yield '<output id="shown" class="faint" aria-live="polite"></output></fieldset></form>'
    yield '<p id="none" hidden>No check is like that.</p>'


def data_of(check: CheckResult) -> str:
    """Return the attributes that the filter reads."""
    return f'data-outcome="{check.outcome}" data-words="{words_of(check)}"'


def words_of(check: CheckResult) -> str:
    """Return what a check is found by."""
    return escape(" ".join((check.id, check.title, check.group, check.level, *check.requirements)))


def sentence(text: str) -> str:
    """Return a text of the specification; what Markdown has between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def requirement(id: str, rule: Rule) -> str:
    """Return the id of a requirement, with its sentence to be shown beside it."""
    return f'<abbr title="{escape(rule.statement)}">{id}</abbr>'


def item(name: str, content: str) -> str:
    """Return a name and what it is, which is HTML."""
    return f"<dt>{name}</dt><dd>{content}</dd>"
