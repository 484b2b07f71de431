"""Every means that a check asks for is described, and every limit of a shipped subject is one of them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance import checks
from conformance.api import run_suite
from conformance.means import MEANS
from conformance.subject import SCRIPTS, SECRETS, SEED
from conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from conformance.subject import Fault, Rig, Situation
    from specs import Specification

FOLDER = Path(checks.__file__).parent


BY_THE_SITUATION = {"slow-connections", "silent-connections", "failing-connections", "address-with-secrets"}
"""What a case needs because of how it opens the subject."""


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


def test_what_is_described_is_needed_by_something() -> None:
    assert set(MEANS) - asked() - {SCRIPTS, SECRETS, SEED} == BY_THE_SITUATION


@pytest.mark.parametrize(
    ("check_id", "means"),
    [
        ("CAN-04", "slow-connections"),
        ("HPC-02", "silent-connections"),
        ("RED-07", "failing-connections"),
        ("RED-03", "address-with-secrets"),
    ],
)
def test_what_a_subject_does_not_heed_is_not_tried(check_id: str, means: str) -> None:
    whole = run_suite(SUBJECTS["llamacpp"], only=[check_id], twice=False)
    less = run_suite(_Without(means), only=[check_id], twice=False)
    assert less.checks[0].executed < whole.checks[0].executed


class _Without:
    name, engine = "less", "llamacpp"

    def __init__(self, means: str) -> None:
        self.limits = {means: "it is left out here"}

    def faults(self, spec: Specification) -> Sequence[Fault]:
        return SUBJECTS["llamacpp"].faults(spec)

    def open(self, situation: Situation) -> AbstractAsyncContextManager[Rig]:
        return SUBJECTS["llamacpp"].open(situation)
