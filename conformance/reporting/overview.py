"""`index.html`: checks x adapters, one page for the reports of several runs; it needs nothing but itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from .page_parts import SIGNS, document, filter_form, legend, mark, requirement, sentence, words_of
from .summary import VERDICTS, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .record import CheckResult, Record


def overview(records: Sequence[Record]) -> str:
    """Return the page; a check that a run did not have is left empty."""
    suite = records[0].suite
    return document(f"Conformance of {len(records)} adapters, suite {suite.version}", _body(records))


def _body(records: Sequence[Record]) -> Iterator[str]:
    suite, outcomes = records[0].suite, [word for word in WORDS if any(word in record.totals for record in records)]
    cases = sum(record.cases for record in records)
    checks = list({check.id: check for record in records for check in record.checks}.values())
    yield f"<header><h1>Conformance of {len(records)} adapters</h1>"
    yield (
        f'<p class="faint">{len(checks)} checks, {cases} cases. Suite {escape(suite.version)}, specification '
        f'<code title="{suite.sha256}">{suite.sha256[:12]}</code>.</p>'
    )
    yield from legend(outcomes)
    yield "</header>"
    yield from filter_form(outcomes, "CAN-01, cancel, ADAPT-3101a", has_blocks=False)
    yield '<div class="wide"><table class="overview"><thead><tr><th scope="col">check</th>'
    yield from (f'<th scope="col" class="sign">{_name(record)}</th>' for record in records)
    yield '<th scope="col">rule</th></tr></thead>'
    for group in dict.fromkeys(check.group for check in checks):
        yield f'<tbody><tr class="group"><th colspan="{len(records) + 2}" scope="rowgroup">{escape(group)}</th></tr>'
        yield from (_row(records, check) for check in checks if check.group == group)
        yield "</tbody>"
    yield "</table></div>"


def _name(record: Record) -> str:
    outcome = {"conforming": "pass", "not-conforming": "fail"}.get(record.verdict, "not-testable")
    sign = mark(outcome, SIGNS[outcome])
    return f'<span title="{escape(VERDICTS[record.verdict])}">{escape(record.subject)}<br>{sign}</span>'


def _row(records: Sequence[Record], check: CheckResult) -> str:
    found = [next((each for each in record.checks if each.id == check.id), None) for record in records]
    outcomes = " ".join(dict.fromkeys(each.outcome for each in found if each is not None))
    rules = next(record.requirements for record in records if check in record.checks)
    cells = "".join(map(_cell, found))
    ids = ", ".join(requirement(id, rules[id]) for id in check.requirements)
    return (
        f'<tr id="{check.id}" data-outcome="{outcomes}" data-words="{words_of(check)}">'
        f'<th scope="row" class="mono">{check.id}</th>{cells}'
        f'<td class="rule">{sentence(check.title)} <span class="mono">{ids}</span></td></tr>'
    )


def _cell(check: CheckResult | None) -> str:
    if check is None:
        return "<td></td>"
    about = escape(f"{WORDS[check.outcome]}{f': {check.reason}' if check.reason else ''}")
    return f'<td class="sign"><span class="mark {check.outcome}" title="{about}">{SIGNS[check.outcome]}</span></td>'
