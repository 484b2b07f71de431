"""Every requirement id that the code or a test names is defined."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import specs

ROOT = Path(__file__).parents[2]
PACKAGES = ("adapter_api", "adapter_host", "adapters", "conformance", "http_util", "orchestratord", "tests")
IMPLEMENTS = re.compile(r"^\s*Implements: (.+?)\.$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"mark\.req\(([^)]*)\)")
ID = re.compile(r"\b[A-Z][A-Z-]*-\d{4}[a-z]?\b")


def named_ids(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    passages = [*IMPLEMENTS.findall(text), *MARK.findall(text)]
    return {found for passage in passages for found in ID.findall(passage)}


@pytest.mark.parametrize("package", PACKAGES)
def test_ids_in_code_and_tests_are_defined(package: str) -> None:
    spec = specs.load()
    defined = {*spec.requirements, *(alias for one in spec.requirements.values() for alias in one.aliases)}
    unknown = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in named_ids(path) - defined
    }
    assert not unknown
