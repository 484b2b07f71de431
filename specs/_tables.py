"""The kinds of table a document may carry, and the checks that a table passes on its own.

`KINDS` names for each kind its attributes and its reader. A reader puts rows into the `Draft`; what one table says
about another is checked in `_load.py` when all are read.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from . import _rows as rows
from . import _shapes as shapes
from ._errors import Fault
from ._json import read_json, read_schema
from ._model import FrameOrderTable
from ._samples import expand
from ._toml import find_line, read_toml, row_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._draft import Draft
    from ._markdown import Block


def _order(draft: Draft, block: Block) -> None:
    table, boundary = read_toml(block, shapes.Order), block.attributes["boundary"]
    states = {*table.transitions, *table.final}
    transitions: dict[tuple[str, str], str] = {}
    for state, moves in table.transitions.items():
        for event, to in moves.items():
            if not isinstance(to, str) or to not in states:
                message = f"`{event}` leads from {state} to {to}, which is no state"
                raise block.error(message, find_line(block.text, str(to)), Fault.ORDER)
            transitions[state, event] = to
    if table.initial not in states:
        message = f"the initial state {table.initial} is no state"
        raise block.error(message, find_line(block.text, "initial"), Fault.ORDER)
    if live := [state for state in table.final if table.transitions.get(state)]:
        raise block.error(f"{live[0]} is final and has transitions", find_line(block.text, "final"), Fault.ORDER)
    draft.orders[boundary] = FrameOrderTable(
        boundary=boundary, initial=table.initial, final=frozenset(table.final), transitions=transitions
    )


def _schema(draft: Draft, block: Block) -> None:
    draft.schemas[block.attributes["boundary"], block.attributes["event"]] = read_schema(block)


def _engine_errors(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.EngineErrors).error
    require_unique(block, "error", [row.id for row in found])
    for index, row in enumerate(found):
        if (row.phase is rows.ErrorPhase.TRANSPORT) != bool(row.fault):
            raise block.error("a row of phase transport, and no other, has a fault", row_line(block, "error", index))
    draft.engine_errors[block.attributes["engine"]] = found


def _redaction(draft: Draft, block: Block) -> None:
    table = read_toml(block, shapes.Redaction)
    require_unique(block, "rule", [rule.kind for rule in table.rule])
    draft.redaction_contexts = table.contexts
    draft.redaction_rules = tuple(_rule(block, index, rule) for index, rule in enumerate(table.rule))


def _rule(block: Block, index: int, rule: shapes.Rule) -> rows.RedactionRow:
    try:
        re.compile(rule.pattern)
        hides, passes = [expand(text) for text in rule.hides], [expand(text).text for text in rule.passes]
    except re.error as error:
        raise block.error(f"{rule.kind}: not a pattern: {error}", row_line(block, "rule", index, "pattern")) from None
    except ValueError as error:
        raise block.error(f"{rule.kind}: {error}", row_line(block, "rule", index)) from None
    if bare := [sample.text for sample in hides if not sample.secrets]:
        message = f"{rule.kind}: nothing in {bare[0]!r} is a secret; write it as a slot"
        raise block.error(message, row_line(block, "rule", index, "hides"))
    return rows.RedactionRow(
        kind=rule.kind,
        pattern=rule.pattern,
        is_anywhere=rule.anywhere,
        hides=tuple(hides),
        passes=tuple(passes),
    )


def _metrics(draft: Draft, block: Block) -> None:
    table = read_toml(block, shapes.Metrics)
    require_unique(block, "metric", [metric.name for metric in table.metric])
    for index, metric in enumerate(table.metric):
        if (metric.type is rows.MetricType.HISTOGRAM) != bool(metric.buckets):
            raise block.error("a histogram, and nothing else, has buckets", row_line(block, "metric", index))
        if list(metric.buckets) != sorted(set(metric.buckets)):
            raise block.error("buckets are in rising order", row_line(block, "metric", index, "buckets"))
        if unbudgeted := set(metric.labels) - set(table.budgets):
            line = row_line(block, "metric", index, "labels")
            raise block.error(f"{metric.name}: no budget for the label {min(unbudgeted)}", line, Fault.DANGLING)
    draft.metrics = {metric.name: metric for metric in table.metric}
    draft.label_budgets = table.budgets


def _errors(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.Codes).code
    require_unique(block, "code", [row.code for row in found])
    draft.errors = {row.code: row for row in found}


def _worker_errors(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.Kinds).kind
    require_unique(block, "kind", [row.kind for row in found])
    draft.worker_errors = {row.kind: row for row in found}


def _statuses(draft: Draft, block: Block) -> None:
    draft.status_rules = read_toml(block, shapes.Statuses).rule


def _routes(draft: Draft, block: Block) -> None:
    table = read_toml(block, shapes.Routes)
    require_unique(block, "route", [f"{route.method} {route.path}" for route in table.route])
    draft.routes, draft.never_served, draft.api_version = table.route, table.never_served, table.version


def _bounds(draft: Draft, block: Block) -> None:
    for index, bound in enumerate(read_toml(block, shapes.Bounds).bound):
        if bound.name in draft.bounds:
            raise block.error(f"{bound.name} is there twice", row_line(block, "bound", index, "name"), Fault.TWICE)
        draft.bounds[bound.name] = bound


def _headers(draft: Draft, block: Block) -> None:
    draft.headers[block.attributes["on"]] = read_toml(block, shapes.Headers).required


def _log(draft: Draft, block: Block) -> None:
    draft.log = read_toml(block, rows.LogContract)


def _environment(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.Environment).variable
    require_unique(block, "variable", [row.name for row in found])
    draft.environment = found


def _profiles(draft: Draft, block: Block) -> None:
    table = read_toml(block, shapes.Profiles)
    require_unique(block, "profile", [row.name for row in table.profile])
    seen: set[str] = set()
    for index, row in enumerate(table.profile):
        if again := next((name for name in row.documents if name in seen or row.documents.count(name) > 1), ""):
            line = row_line(block, "profile", index, "documents")
            raise block.error(f"{again} is in a profile already", line, Fault.TWICE)
        seen.update(row.documents)
    draft.profiles, draft.unproved_advice = table.profile, table.unproved_advice


def _exclusions(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.Exclusions).exclusion
    require_unique(block, "exclusion", [f"{row.id} of {row.of}" for row in found])
    for index, row in enumerate(found):
        try:
            date.fromisoformat(row.until or "2000-01-01")
        except ValueError as error:
            line = row_line(block, "exclusion", index, "until")
            raise block.error(f"{row.until} is no date: {error}", line) from None
    draft.exclusions = found


def _agreements(draft: Draft, block: Block) -> None:
    found = read_toml(block, shapes.Agreements).agreement
    require_unique(block, "agreement", [row.what for row in found])
    draft.agreements = found


def _example(draft: Draft, block: Block) -> None:
    draft.examples.append((block, read_json(block)))


KINDS: dict[str, tuple[tuple[str, ...], Callable[[Draft, Block], None]]] = {
    "frame-order": (("boundary",), _order),
    "schema": (("boundary", "event"), _schema),
    "example": (("boundary", "event"), _example),
    "error-codes": ((), _errors),
    "worker-errors": ((), _worker_errors),
    "engine-errors": (("engine",), _engine_errors),
    "status-rules": ((), _statuses),
    "redaction-rules": ((), _redaction),
    "metrics": ((), _metrics),
    "routes": ((), _routes),
    "bounds": (("of",), _bounds),
    "headers": (("on",), _headers),
    "log": ((), _log),
    "environment": ((), _environment),
    "profiles": ((), _profiles),
    "exclusions": ((), _exclusions),
    "agreements": ((), _agreements),
}
"""Kind of block -> (its attributes, its reader)."""


def require_unique(block: Block, table: str, keys: Iterable[str]) -> None:
    """Raise `SpecError` at the second row that has the key of an earlier one."""
    seen: set[str] = set()
    for index, key in enumerate(keys):
        if key in seen:
            raise block.error(f"{key} is there twice", row_line(block, table, index), Fault.TWICE)
        seen.add(key)
