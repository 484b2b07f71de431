"""What a person reads: progress, a block for each failure, and a verdict.

Whatever is printed passes a mask first: a secret that came back from the service is not told on.
"""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from conformance.canary import Canaries
from conformance.failure import statement
from conformance.outcome import Exit, Outcome

from .catalogue import SERVICE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from specs import Specification

    from .check import ServiceCheck
    from .runner import Judged, Played, ServiceReport
    from .target import Target

_SHOWN = 3
_LINES = 14
_WIDTH = 112
_INDENT = " " * 12


def failure_text(judged: Judged, spec: Specification, target: Target) -> str:
    """Return the block about a check that did not pass."""
    check = judged.check
    lines = [f"{judged.outcome.upper()} {check.id} ({check.level}, {check.group}) {check.title}"]
    for id in check.requirements:
        lines += _field("requires", statement(id, spec))
    if judged.reason:
        lines += _field("reason", judged.reason.splitlines())
    lines += _findings(judged)
    lines += _field("causes", check.causes)
    lines += _field("reproduce", [f"conformance service --url {target.name} --only {check.id}"])
    return mask("\n".join(lines), target)


def mask(text: str, target: Target) -> str:
    """Return the text without the canaries and without the token."""
    text = Canaries(0).mask(text)
    return text.replace(target.token, "[token]") if target.token else text


def _findings(judged: Judged) -> Iterator[str]:
    for played, finding in judged.findings[:_SHOWN]:
        if played.check is not judged.check:
            yield from _field("seen in", [f"{played.check.id} {played.check.title}"])
        yield from _field("expected", [finding.expected])
        yield from _field("actual", finding.actual.splitlines())
    if len(judged.findings) > _SHOWN:
        yield f"{_INDENT}and {len(judged.findings) - _SHOWN} more of the kind"
    if judged.findings:
        yield from _field("wire", _around(judged.findings[0][0], judged.check.id))


def _around(played: Played, check_id: str) -> list[str]:
    """Return the journal's lines around the first breach of the rule."""
    journal = list(played.journal)
    first = next((number for number, line in enumerate(journal) if f" ! {check_id} " in line), len(journal))
    return journal[max(0, first - _LINES) : first + 2] or ["nothing"]


def _field(name: str, lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
        yield f"  {name if number == 0 else '':<10}{shown[:400]}"


def verdict(report: ServiceReport) -> str:
    """Return the last line."""
    name = report.target.name
    if report.unreachable:
        return f"no verdict on {name}: {report.unreachable}"
    counts = ", ".join(f"{len(found)} {outcome}" for outcome in Outcome if (found := report.having(outcome)))
    said = {
        Exit.CONFORMING: f"{name} conforms",
        Exit.NOT_CONFORMING: f"{name} does not conform",
        Exit.TOO_LITTLE_RAN: f"no verdict on {name}, too little could be tried",
        Exit.KIT_ERROR: f"no verdict on {name}, the kit failed",
    }
    return f"{said[report.exit_code]}: {counts or 'nothing was tried'}"


def show(report: ServiceReport, spec: Specification, *, is_verbose: bool) -> None:
    """Print what came out."""
    if is_verbose:
        for judged in report.checks:
            _print(f"{judged.outcome:13} {judged.check.id:10} {judged.check.title}", report.target)
    for played in report.errors:
        _print(f"KIT ERROR in {played.check.id}\n{played.kit_error}", report.target)
    for judged in report.having(Outcome.NOT_APPLICABLE):
        _print(f"{judged.outcome} {judged.check.id} {judged.reason}", report.target)
    for judged in report.having(Outcome.WARN, Outcome.NOT_TESTABLE, Outcome.FAIL):
        _print(f"\n{failure_text(judged, spec, report.target)}", report.target)
    _print(f"\n{verdict(report)}", report.target)


def _print(text: str, target: Target) -> None:
    sys.stdout.write(mask(text, target) + "\n")


def listing() -> str:
    """Return the checks, a line each."""
    return "\n".join(f"{check.id:10} {check.level:6} {check.title}" for check in SERVICE_CHECKS.values())


def explanation(check: ServiceCheck, spec: Specification) -> str:
    """Return what is known of a check."""
    lines = [f"{check.id} ({check.level}, {check.group})", *textwrap.wrap(check.title, _WIDTH)]
    for id in check.requirements:
        lines += _field("requires", statement(id, spec))
    lines += _field("causes", check.causes)
    return "\n".join(lines)
