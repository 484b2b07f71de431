"""Every requirement id that the code or a test names is defined."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import specs
from conformance.gate.marks import marked_tests

ROOT = Path(__file__).parents[2]
PACKAGES = ("adapter_api", "adapter_host", "adapters", "conformance", "http_util", "orchestratord", "tests")
IMPLEMENTS = re.compile(r"^\s*Implements: (.+?)\.$", re.MULTILINE | re.DOTALL)
DEFINED = {*specs.load().requirements, *specs.load().aliases}
ID = re.compile(r"\b[A-Z][A-Z-]*-\d{4}[a-z]?\b")


def implemented(path: Path) -> set[str]:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return {found for passage in IMPLEMENTS.findall(text) for found in ID.findall(passage)}


@pytest.mark.parametrize("package", PACKAGES)
def test_ids_that_modules_implement_are_defined(package: str) -> None:
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in implemented(path) - DEFINED
    }
    assert not unknown


def test_ids_that_tests_are_marked_with_are_defined() -> None:
    marked = {test.requirement: test.place for test in marked_tests(ROOT / "tests", [])}
    assert not {id: place for id, place in marked.items() if id not in DEFINED}
