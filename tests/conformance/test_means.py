"""Every means that a check asks for is described, and every limit of a shipped subject is one of them."""

from __future__ import annotations

import ast
from pathlib import Path

from conformance import checks
from conformance.means import MEANS
from conformance.subjects import SUBJECTS

FOLDER = Path(checks.__file__).parent


def asked() -> set[str]:
    """Return what checks hand to `need` as text."""
    calls = [
        node
        for path in FOLDER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "need"
    ]
    given = [arg for call in calls for arg in call.args if isinstance(arg, ast.Constant)]
    return {arg.value for arg in given if isinstance(arg.value, str)}


def test_what_checks_need_is_described() -> None:
    assert asked()
    assert asked() <= set(MEANS)


def test_what_shipped_subjects_lack_is_something_that_is_asked_for() -> None:
    assert {means for subject in SUBJECTS.values() for means in subject.limits} <= set(MEANS)
