from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from conformance.catalogue import CHECKS
from conformance.check import Level
from conformance.reporting.badge import badge
from conformance.reporting.summary import WORDS, fenced, summary

from .runs import HOSTILE, good, record, texts

if TYPE_CHECKING:
    from conformance.reporting import Record

MARKDOWN = MarkdownIt("commonmark", {"linkify": False}).enable("table")
HEADINGS = {"Conformance of", "What was found", "Not applicable", "Reproduce"}

BINDING = sum(check.level is Level.MUST for check in CHECKS.values())


@given(texts, texts)
def test_any_text_stays_text(text: str, other: str) -> None:
    tokens = MARKDOWN.parse(summary(record(text, adapter=other or "x", kit_error=text)))
    kinds = {token.type for token in tokens} | {child.type for token in tokens for child in token.children or ()}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "code_block", "hr", "blockquote_open"}
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert len([each for each in headings if any(each.startswith(start) for start in HEADINGS)]) == 4


@given(texts)
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    text = text.replace("\x00", "").replace("\r", "")
    (fence,) = MARKDOWN.parse(fenced(text))
    assert fence.content == f"{text}\n"


def test_it_says_how_it_came_out_what_was_found_and_how_to_see_it_again() -> None:
    shown = summary(record(adapter="my_pkg.my_mod:subject"))
    assert "**does not conform**: " in shown
    assert "FAIL FRM-03 (MUST, frame order) token indices count from 0 without a gap" in shown
    assert "```sh\npython -m conformance run --adapter my_pkg.my_mod:subject --only" in shown


def test_a_good_run_has_little_to_say() -> None:
    shown = summary(good())
    assert "**conforms**: 64 pass." in shown.replace(f"{len(good().checks)} pass", "64 pass")
    assert "What was found" not in shown


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_keeps_its_columns(text: str) -> None:
    lines = [line for line in summary(record(text)).splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in lines if "·" in line or "group" in line} == {len(record(text).totals) + 2}


def test_every_outcome_has_a_word() -> None:
    assert set(record().totals) <= set(WORDS)


@pytest.mark.parametrize(
    ("made", "message", "color", "is_error"),
    [
        (good(), f"{BINDING}/{BINDING} MUST, suite", "brightgreen", False),
        (record(), "partly run, ", "red", False),
        (record(kit_error="x"), "no verdict", "lightgrey", True),
    ],
)
def test_a_badge_is_what_a_shield_reads(made: Record, message: str, color: str, is_error: bool) -> None:
    shown = json.loads(badge(made))
    assert set(shown) == {"schemaVersion", "label", "message", "color", "isError"}
    assert (shown["schemaVersion"], shown["color"], shown["isError"]) == (1, color, is_error)
    assert message in shown["message"]
