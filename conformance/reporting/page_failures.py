"""The part of `report.html` that says what is wrong: a block for each broken check, with its cases and transcripts."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .record import BrokenCase, CheckResult, Moment, Record


def failures(record: Record) -> Iterator[str]:
    """Yield a block for each check that was broken; the first is open."""
    broken = [check for check in record.broken if check.cases]
    if broken:
        yield '<h2 id="failures">What was found</h2>'
    for number, check in enumerate(broken):
        yield from _block(record, check, is_open=number == 0)


def kit_errors(record: Record) -> Iterator[str]:
    """Yield the faults of the kit."""
    if record.kit_errors:
        yield '<h2 id="kit-errors">Faults of the kit, not of the adapter</h2>'
    for error in record.kit_errors:
        yield f'<details><summary class="mono">{escape(f"{error.scene}/{error.case}")}, seed {error.seed}</summary>'
        yield f"<pre>{escape(error.trace)}</pre></details>"


def _block(record: Record, check: CheckResult, *, is_open: bool) -> Iterator[str]:
    yield f'<details id="failure-{check.id}" {"open" if is_open else ""}>'
    yield f'<summary><span class="mark {check.outcome}">{check.id}</span> <h3>{escape(check.title)}</h3>'
    yield f'<span class="faint">{check.level}, {escape(check.group)}; broken in {_count(check.broken)}</span></summary>'
    yield "<dl>"
    for id in check.requirements:
        rule = record.requirements[id]
        place = f'<span class="faint">{escape(f"{rule.document}:{rule.line}")}</span>'
        yield _item("requires", f"<strong>{id}</strong> ({rule.level}) {place}<br>{_sentence(rule.statement)}")
    yield from (_item("usual cause", escape(cause)) for cause in check.causes)
    yield "</dl>"
    for case in check.cases:
        yield from _case(case)
    if check.broken > len(check.cases):
        yield f'<p class="faint">And {_count(check.broken - len(check.cases))} more.</p>'
    yield "</details>"


def _case(case: BrokenCase) -> Iterator[str]:
    yield '<div class="case"><dl>'
    yield _item("case", f"<code>{escape(f'{case.scene}/{case.case}')}</code>, seed {case.seed}")
    yield from (_item("given", escape(line)) for line in case.given)
    for finding in case.findings:
        yield _item("expected", escape(finding.expected))
        yield _item("actual", f"<strong>{_broken_lines(finding.actual)}</strong>")
    if case.found > len(case.findings):
        yield _item("", f"and {case.found - len(case.findings)} more of the kind in this case")
    yield "</dl>"
    if case.moments:
        yield from _moments(case.moments, case.entries)
    yield f"<pre>{escape(case.reproduce)}</pre></div>"


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


def _item(name: str, content: str) -> str:
    return f"<dt>{name}</dt><dd>{content}</dd>"


def _sentence(statement: str) -> str:
    """Return a requirement's sentence; what Markdown has between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(statement))


def _broken_lines(text: str) -> str:
    return "<br>".join(map(escape, text.splitlines()))


def _count(cases: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'}"
