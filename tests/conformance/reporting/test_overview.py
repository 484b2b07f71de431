"""The page of several runs: checks x adapters, from reports of one suite."""

from __future__ import annotations

import pytest

from conformance.catalogue import CHECKS
from conformance.reporting.cleaning import cleaned
from conformance.reporting.overview import overview
from conformance.reporting.recording import recorded, word
from conformance.reporting.shipped import read_shipped

from .nine import OF, REASONS, nine
from .runs import HOSTILE, SPEC, good, record
from .test_page import ASKS, TAGS, Page


def test_every_check_has_a_row_with_a_cell_for_each_adapter() -> None:
    shown = Page(overview([good(), good(), good()]))
    rows = [each for _, each in shown.tags if "data-outcome" in each]
    assert [each["id"] for each in rows] == list(CHECKS)
    assert sum(each.get("class") == "mark pass" for _, each in shown.tags) >= 3 * len(CHECKS)
    assert "Conformance of 3 adapters" in shown.text


def test_a_row_is_found_by_the_outcome_of_any_adapter_and_says_why() -> None:
    shown = Page(overview([good(), recorded(cleaned(nine(), SPEC), SPEC)]))
    rows = {each["id"]: each["data-outcome"].split() for _, each in shown.tags if "data-outcome" in each}
    titles = [each["title"] for _, each in shown.tags if "title" in each]
    for outcome, check in OF.items():
        assert set(rows[check.id]) == {"pass", word(outcome)}
        assert any(REASONS.get(outcome, "") in title for title in titles)


@pytest.mark.parametrize("text", HOSTILE)
def test_any_text_stays_text_and_nothing_is_asked_for(text: str) -> None:
    shown = Page(overview([record(text, adapter=text or "x"), good()]))
    assert {tag for tag, _ in shown.tags} <= TAGS
    assert not [name for _, attributes in shown.tags for name in attributes if name in ASKS or name.startswith("on")]


def test_the_kept_reports_make_one() -> None:
    records = read_shipped().records
    text = Page(overview(records)).text
    assert all(each.subject in text for each in records)
