"""The page on what is checked where names checks, requirements and tests that are there."""

from __future__ import annotations

import re

import pytest

import specs
from conformance.catalogue import CHECKS
from conformance.check import Group
from conformance.service.catalogue import SERVICE_CHECKS

from .pages import ROOT

PAGE = (ROOT / "docs" / "design" / "catalogue.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"


@pytest.mark.parametrize("check_id", sorted(set(re.findall(r"`((?:S-)?[A-Z]{3,4}-\d\d)`", PAGE))))
def test_a_check_that_it_names_is_there(check_id: str) -> None:
    assert check_id in {*CHECKS, *SERVICE_CHECKS}


@pytest.mark.parametrize("requirement", sorted(set(re.findall(r"\b(?:ORCH|HTU|AH|SSE|OC-[A-Z]+)-\d+[a-z]?\b", PAGE))))
def test_a_requirement_that_it_names_is_there(requirement: str) -> None:
    assert specs.load().requirement(requirement).id == requirement


def test_the_tests_that_it_names_are_there() -> None:
    names = set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE)) | set(re.findall(r"`(test_\w+\.py)`", PAGE))
    there = {path.name for path in TESTS.rglob("test_*.py")}
    assert {name for name in names if name.rpartition("/")[2] not in there} == set()
    assert {name for name in names if "/" in name and not (ROOT / name).exists()} == set()


def test_every_group_has_a_row() -> None:
    assert [group for group in Group if f"| {group} | " not in PAGE] == []
