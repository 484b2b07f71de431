"""The verdict as text for people, as JSON and as annotations of GitHub Actions; as SARIF it is in `sarif.py`.

Pure: facts in, text out. Findings of one verdict are in the same order in every form.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from .codes import CODES, Severity
from .coverage import change, coverage
from .sarif import as_sarif

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.outcome import Exit

    from .codes import Code
    from .coverage import Change, Row
    from .facts import Project
    from .finding import Finding
    from .verdict import Verdict

    Form = Callable[[Verdict, Project | None], str]

_COLUMNS = ("profile", "proof", "MUST", "checked", "executed", "mutant", "tested", "excluded", "open")
_WIDTH = 100
_VERDICTS = ("conforms", "does not conform", "", "", "no verdict, too little was executed")


def as_text(verdict: Verdict, project: Project | None) -> str:
    """Return a line for each finding, the coverage, the change since the base, and the verdict."""
    lines = [_line(each) for each in verdict.findings]
    if project is not None:
        lines += ["", *_table(coverage(project)), *_since(change(project)), ""]
    return "\n".join([*lines, _sum(verdict, verdict.exit_code)]).lstrip("\n") + "\n"


def as_github(verdict: Verdict, project: Project | None) -> str:
    """Return the workflow commands that annotate the lines of a pull request, and the verdict."""
    lines = [
        f"::{each.code.severity} file={_property(each.place.file)},line={each.place.line},"
        f"title={each.code_id} {_property(each.code.title)}::{_data(f'{each.message} -> {each.code.fix}')}"
        for each in verdict.findings
    ]
    since = _since(change(project)) if project is not None else []
    return "\n".join([*lines, *since, _sum(verdict, verdict.exit_code)]) + "\n"


def as_json(verdict: Verdict, project: Project | None) -> str:
    """Return one object: exit code, findings, coverage and change."""
    changed = change(project) if project is not None else None
    whole = {
        "exit_code": int(verdict.exit_code),
        "findings": [
            {
                "code": each.code_id,
                "severity": each.code.severity,
                "file": each.place.file,
                "line": each.place.line,
                "about": each.about,
                "message": each.message,
                "fix": each.code.fix,
            }
            for each in verdict.findings
        ],
        "coverage": [asdict(row) for row in coverage(project)] if project is not None else [],
        "change": None if changed is None else asdict(changed),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def explained(code: Code) -> str:
    """Return all that is known of a code."""
    level = "fails the gate" if code.severity is Severity.ERROR else "a warning"
    why, fix = (textwrap.indent(textwrap.fill(each, _WIDTH), "  ") for each in (code.why, f"What to do: {code.fix}."))
    return f"{code.id} {code.title} ({level})\n\n{why}\n\n{fix}\n"


def listing() -> str:
    """Return every code, a line each."""
    return "".join(f"{code.id} {code.severity:7} {code.title}\n" for code in CODES.values())


FORMS: dict[str, Form] = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
"""Name of a form -> what writes it."""


def _line(each: Finding) -> str:
    return f"{each.code_id} {each.code.severity} {each.place} {each.about}: {each.message} -> {each.code.fix}"


def _sum(verdict: Verdict, code: Exit) -> str:
    errors = len(verdict.errors)
    warnings = len(verdict.findings) - errors
    return f"gate: {_VERDICTS[code]}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [_COLUMNS, *(tuple(str(value) for value in asdict(row).values()) for row in rows)]
    if len(rows) > 1:
        sums = [str(sum(int(row[at]) for row in cells[1:])) for at in range(2, len(_COLUMNS))]
        cells.append(("all", "", *sums))
    widths = [max(len(row[at]) for row in cells) for at in range(len(_COLUMNS))]
    table = ["  ".join(_aligned(at, cell, widths[at]) for at, cell in enumerate(row)).rstrip() for row in cells]
    return [*table, "", _summary(rows)]


def _summary(rows: Sequence[Row]) -> str:
    binding, unproved = sum(row.binding for row in rows), sum(row.unproved for row in rows)
    excluded, checked = sum(row.excluded for row in rows), sum(row.checked for row in rows)
    executed, backed = sum(row.executed for row in rows), sum(row.backed for row in rows)
    proved = f"MUST {binding - unproved - excluded}/{binding} proved, {excluded} excluded"
    return f"{proved}; of {checked} with a check: {executed} executed, {backed} mutant-backed" if checked else proved


def _aligned(at: int, cell: str, width: int) -> str:
    return cell.ljust(width) if at < 2 else cell.rjust(width)


def _since(changed: Change | None) -> list[str]:
    if changed is None:
        return []
    proved = len(changed.added) - len(changed.added_unproved) - len(changed.added_excluded)
    told = (
        ("without proof", changed.added_unproved),
        ("excluded", changed.added_excluded),
        ("binding no more", changed.loosened),
        ("taken out", changed.removed),
        ("tables that differ", changed.tables),
    )
    lines = [f"this change adds {len(changed.added)} MUST and proves {proved} of them"]
    lines += [f"  {what}: {', '.join(ids)}" for what, ids in told if ids]
    for each in changed.revised:
        lines += [f"  revised: {each.id} r{each.before} to r{each.now}", f"    - {each.old}", f"    + {each.new}"]
    return ["", *lines]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
