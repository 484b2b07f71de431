"""The verdict as text for people, as JSON, as annotations of GitHub Actions and as SARIF.

Pure: facts in, text out. Findings of one verdict are in the same order in every form.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .codes import CODES, Severity
from .coverage import change, coverage

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
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
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
        "coverage": [_fields(row) for row in coverage(project)] if project is not None else [],
        "change": None if changed is None else _fields(changed),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def as_sarif(verdict: Verdict, _project: Project | None) -> str:
    """Return a SARIF 2.1.0 log."""
    used = sorted({each.code_id for each in verdict.findings})
    rules = [_rule(CODES[id]) for id in used]
    results = [
        {
            "ruleId": each.code_id,
            "ruleIndex": used.index(each.code_id),
            "level": each.code.severity,
            "message": {"text": f"{each.message}\n{each.code.fix}"},
            "locations": [_location(each)],
            "partialFingerprints": {"subject/v1": f"{each.code_id} {each.about}"},
        }
        for each in verdict.findings
    ]
    run = {"tool": {"driver": {"name": "conformance gate", "rules": rules}}, "results": results}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def explained(code: Code) -> str:
    """Return all that is known of a code."""
    level = "fails the gate" if code.severity is Severity.ERROR else "a warning"
    return f"{code.id} {code.title} ({level})\n\n  {code.why}\n\n  What to do: {code.fix}.\n"


FORMS: dict[str, Form] = {"text": as_text, "json": as_json, "sarif": as_sarif, "github": as_github}
"""Name of a form -> what writes it."""


def _line(each: Finding) -> str:
    return f"{each.code_id} {each.code.severity} {each.place} {each.about}: {each.message} -> {each.code.fix}"


def _sum(verdict: Verdict, code: Exit) -> str:
    errors = len(verdict.errors)
    warnings = len(verdict.findings) - errors
    return f"gate: {_VERDICTS[code]}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [_COLUMNS, *(tuple(str(value) for value in _fields(row).values()) for row in rows)]
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
    proved = len(changed.added) - len(changed.added_unproved)
    lines = [f"this change adds {len(changed.added)} MUST and proves {proved} of them"]
    lines += [f"  without proof: {', '.join(changed.added_unproved)}"] if changed.added_unproved else []
    lines += [f"  revised: {', '.join(changed.revised)}"] if changed.revised else []
    lines += [f"  taken out: {', '.join(changed.removed)}"] if changed.removed else []
    return ["", *lines]


def _rule(code: Code) -> dict[str, object]:
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.title.split()),
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {"text": f"What to do: {code.fix}."},
        "defaultConfiguration": {"level": code.severity},
    }


def _location(each: Finding) -> dict[str, object]:
    artifact = {"artifactLocation": {"uri": each.place.file}, "region": {"startLine": each.place.line}}
    return {"physicalLocation": artifact}


def _fields(row: Row | Change) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
