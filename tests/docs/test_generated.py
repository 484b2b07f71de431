from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specs
from docs.generator import BlockError, pages, regenerated
from docs.generator.codes import ADVICE, RESERVED
from docs.generator.configuration import NO_EFFECT
from docs.generator.observability import LOG_FIELDS
from orchestratord.config import file_schema

from .pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = [path for path in (ROOT / "orchestratord").rglob("*.py") if path.parent.name != "config"]


@pytest.mark.req("OC-CONFIG-6010")
@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_a_committed_page_equals_the_generated_one(page: Path) -> None:
    """White space is not compared: versions of Python break the lines of `--help` differently."""
    committed = page.read_text(encoding="utf-8")
    assert committed.split() == regenerated(committed).split(), f"{page.name} is behind: run python -m docs.generator"


def test_what_stands_between_the_markers_is_written_anew() -> None:
    page = "before\n<!-- generated: headers 429 -->\nsomething old\n<!-- end -->\nafter\n"
    assert "something old" not in regenerated(page)
    assert "`Retry-After`" in regenerated(page)
    assert regenerated(regenerated(page)) == regenerated(page)


@pytest.mark.parametrize("marker", ["nothing-like-it", "fields wire nothing", "headers", "config Nothing", "settings"])
def test_a_marker_that_cannot_be_filled_is_an_error_with_its_line(marker: str) -> None:
    with pytest.raises(BlockError, match=f"line 2: cannot make `{marker}`"):
        regenerated(f"\n<!-- generated: {marker} -->\n<!-- end -->\n")


@pytest.mark.parametrize("page", ["<!-- generated: codes -->\n", "<!-- end -->\n"])
def test_a_block_without_an_end_is_an_error(page: str) -> None:
    with pytest.raises(BlockError):
        regenerated(page)


@pytest.mark.req("OC-CTRL-2030")
def test_every_code_has_advice_and_reserved_ones_are_given_nowhere() -> None:
    assert set(ADVICE) == set(specs.load().errors)
    texts = [path.read_text(encoding="utf-8") for path in SOURCES if path.name != "errors.py"]
    assert {code for code in RESERVED if any(f"Code.{code}" in text for text in texts)} == set()


def test_keys_without_effect_are_keys_that_no_code_reads() -> None:
    definitions = file_schema()["$defs"]
    texts = [path.read_text(encoding="utf-8") for path in SOURCES]
    for key in NO_EFFECT:
        name = key.partition(".")[2]
        assert f'"{name}"' in str(definitions).replace("'", '"')
        assert not any(f".{name}" in text for text in texts), f"{key} is read now: take it out of NO_EFFECT"


@pytest.mark.req("ORCH-3027")
def test_every_log_field_is_described() -> None:
    assert set(LOG_FIELDS) == set(specs.load().log.fields)
