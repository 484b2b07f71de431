"""The blocks of the page on conformance reports, from the reports that are kept beside the kit.

Nothing is run for it: `python -m conformance.reporting.shipped` makes the reports, this shows the newest of them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from conformance.reporting.cancellation import PHASES
from conformance.reporting.shipped import read_shipped
from conformance.reporting.summary import VERDICTS, WORDS

from .markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.reporting.cancellation import Cost, Costs
    from conformance.reporting.record import Record
    from conformance.reporting.shipped import Shipped

_FOLDER = "../../conformance/reports"
_shipped = cache(read_shipped)


def part(name: str) -> str:
    """Return one of the parts; KeyError if there is none of this name."""
    return {"made": made, "verdicts": verdicts, "groups": groups, "cancellation": cancellation}[name]()


def made() -> str:
    """Return when, of what and on what the reports were made."""
    shipped = _shipped()
    hashes = {record.suite.sha256[:12] for record in shipped.records}
    of = f"Suite {shipped.version}, specification {', '.join(map(code, sorted(hashes)))}"
    on = f"made on {shipped.made.day} with Python {shipped.made.python} and Trio {shipped.made.trio}"
    return f"{of}, {on}, {shipped.made.system}."


def verdicts() -> str:
    """Return how each adapter came out."""
    shipped = _shipped()
    return table(
        ["adapter", "verdict", "checks", "cases", "what did not just pass"],
        (
            (
                f"[{record.subject}]({_FOLDER}/{shipped.version}/{record.subject}/SUMMARY.md)",
                VERDICTS[record.verdict],
                str(len(record.checks)),
                str(record.cases),
                _exceptions(record),
            )
            for record in shipped.records
        ),
    )


def groups() -> str:
    """Return adapters x groups of checks."""
    shipped = _shipped()
    names = list(dict.fromkeys(group for record in shipped.records for group in record.groups))
    rows = ((record.subject, *(_counts(record.groups.get(name, {})) for name in names)) for record in shipped.records)
    return table(["adapter", *names], rows)


def cancellation() -> str:
    """Return phases x adapters: when the engine is idle after a cancel, in virtual seconds."""
    shipped = _shipped()
    rows = ((phase, *(_idle(costs.phases.get(phase)) for costs in shipped.costs)) for phase in PHASES)
    returned, left = _most(shipped, "returned_ms"), _most(shipped, "left_ms")
    of_callers = f"`cancel()` had returned after at most {returned} and the stream was left after at most {left}"
    return (
        f"{table(['cancelled', *map(_engine, shipped.costs)], rows)}\n\nIn all of these {of_callers} of virtual time."
    )


def _exceptions(record: Record) -> str:
    return ", ".join(f"{check.id} {WORDS[check.outcome]}" for check in record.checks if check.outcome != "pass")


def _counts(totals: Mapping[str, int]) -> str:
    """Return "8", or "7 + 1 warning": what passed, and what did not."""
    others = [f"{count} {WORDS[outcome]}" for outcome, count in totals.items() if outcome != "pass"]
    return " + ".join([str(totals.get("pass", 0)), *others])


def _engine(costs: Costs) -> str:
    return f"{costs.adapter} ({costs.cancel_mode})"


def _idle(cost: Cost | None) -> str:
    if cost is None:
        return ""
    return "not at all" if cost.released_ms is None else _seconds(cost.released_ms)


def _most(shipped: Shipped, time: str) -> str:
    costs = [cost for adapter in shipped.costs for cost in adapter.phases.values()]
    times = [cost.returned_ms if time == "returned_ms" else cost.left_ms for cost in costs]
    return _seconds(max((each for each in times if each is not None), default=0.0))


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms else "0 s"
