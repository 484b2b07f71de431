"""The part of `report.html` that says what is wrong: a block for each check that has something to tell."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from conformance.under_test import SERVICE

from .page_parts import data_of, item, sentence
from .summary import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .record import BrokenCase, CheckResult, Moment, Record


def failures(record: Record) -> Iterator[str]:
    """Yield a block for each check that did not just pass or not apply; the first is open."""
    if record.broken:
        yield '<h2 id="failures">What was found</h2>'
    elif record.checks:
        yield '<p id="failures">Nothing was found that speaks against it.</p>'
    for number, check in enumerate(record.broken):
        yield from _block(record, check, is_open=number == 0)


def kit_errors(record: Record) -> Iterator[str]:
    """Yield the faults of the kit."""
    if record.kit_errors:
        yield f'<h2 id="kit-errors">Faults of the kit, not of the {record.kind}</h2>'
    for error in record.kit_errors:
        yield f'<details><summary class="mono">{escape(f"{error.scene}/{error.case}")}, seed {error.seed}</summary>'
        yield f"<pre>{escape(error.trace)}</pre></details>"


def _block(record: Record, check: CheckResult, *, is_open: bool) -> Iterator[str]:
    yield f'<details class="failure" id="failure-{check.id}" {data_of(check)}{" open" if is_open else ""}>'
    yield f'<summary><span class="mark {check.outcome}">{check.id}</span> <h3>{sentence(check.title)}</h3>'
    broken = f"; broken in {_count(check.broken)}" if check.broken else ""
    outcome = "" if check.outcome == "fail" else f"{WORDS[check.outcome]}; "
    yield f'<span class="faint">{outcome}{check.level}, {escape(check.group)}{broken}</span></summary>'
    yield "<dl>"
    for id in check.requirements:
        rule = record.requirements[id]
        place = f'<span class="faint">{escape(f"{rule.document}:{rule.line}")}</span>'
        yield item("requires", f"<strong>{id}</strong> ({rule.level}) {place}<br>{sentence(rule.statement)}")
    if check.reason:
        yield item("reason", escape(check.reason))
    yield from (item("usual cause", sentence(cause)) for cause in check.causes)
    yield "</dl>"
    for number, case in enumerate(check.cases):
        yield from _case(case, is_first=number == 0, has_seed=record.kind != SERVICE)
    if check.broken > len(check.cases):
        yield f'<p class="faint">And {_count(check.broken - len(check.cases))} more.</p>'
    yield "</details>"


def _case(case: BrokenCase, *, is_first: bool, has_seed: bool) -> Iterator[str]:
    seed = f", seed {case.seed}" if has_seed else ""
    name = f"<code>{escape(f'{case.scene}/{case.case}')}</code>{seed}"
    yield f'<details class="case"{" open" if is_first else ""}><summary>case {name}</summary><dl>'
    yield from (item("given", escape(line)) for line in case.given)
    for finding in case.findings:
        yield item("expected", escape(finding.expected))
        yield item("actual", f"<strong>{_broken_lines(finding.actual)}</strong>")
    if case.found > len(case.findings):
        yield item("", f"and {case.found - len(case.findings)} more of the kind in this case")
    yield "</dl>"
    if case.moments:
        yield from _moments(case.moments, case.entries)
    yield f"<pre>{escape(case.reproduce)}</pre></details>"


def _moments(moments: Sequence[Moment], in_all: int) -> Iterator[str]:
    left = in_all - len(moments)
    more = f"; {left} more in transcript.ndjson" if left else ""
    yield '<div class="wide"><table class="moments">'
    yield f'<caption class="faint">seconds since the first entry{more}</caption><tbody>'
    for each in moments:
        wrong = ' class="wrong"' if each.is_wrong else ""
        sign = "▶" if each.is_wrong else ""
        yield (
            f'<tr{wrong}><td>{sign}</td><td class="number">#{each.number}</td><td class="number">{each.at_s:g}</td>'
            f"<td>{escape(each.who)}</td><td>{escape(each.what)}</td></tr>"
        )
    yield "</tbody></table></div>"


def _broken_lines(text: str) -> str:
    return "<br>".join(map(escape, text.splitlines()))


def _count(cases: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'}"
