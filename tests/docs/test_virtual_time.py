"""The page about virtual time says what the kit does: the table of what is let be, the ways out, the files."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.catalogue import CHECKS
from conformance.escape.doors import RULES
from conformance.escape.tolerated import TOLERATED
from conformance.times import TICK_S

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/design/virtual-time.md").read_text(encoding="utf-8")


def test_what_is_let_be_stands_on_the_page() -> None:
    assert [row.module for row in TOLERATED if f"`{row.module}`" not in PAGE] == []


def test_each_way_out_stands_there_with_its_check() -> None:
    told = set(re.findall(r"\| ([A-Z]{3}-\d\d) \|", PAGE))
    assert told == {rule.check_id for rule in RULES.values()} | {"LEA-06"}
    assert told <= CHECKS.keys()


def test_the_files_that_are_named_are_there() -> None:
    named = {name for name in re.findall(r"`([\w/]+\.py)`", PAGE) if "my_adapter" not in name}
    places = ("", "conformance", "conformance/escape")
    assert [name for name in named if not any((ROOT / place / name).exists() for place in places)] == []
    assert len(named) > 10


def test_a_tick_is_what_the_page_says() -> None:
    assert TICK_S == 2.0**-10
    assert "2⁻¹⁰ s" in PAGE
