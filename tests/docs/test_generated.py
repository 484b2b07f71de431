from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

import specs
from docs.generator import BlockError, pages, regenerated
from docs.generator.codes import ADVICE, RESERVED
from docs.generator.observability import LOG_FIELDS
from orchestratord.config import file_schema

from .pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCES = {path: path.read_text(encoding="utf-8") for path in (ROOT / "orchestratord").rglob("*.py")}
ACTING = [text for path, text in SOURCES.items() if path.name not in {"model.py", "load.py", "env.py"}]
"""The sources without those that only carry the configuration from one place to another."""
READ_AS = {"bind": "address"}


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
    texts = [text for path, text in SOURCES.items() if path.name != "errors.py"]
    assert {code for code in RESERVED if any(f"Code.{code}" in text for text in texts)} == set()


@pytest.mark.parametrize("table", ["Server", "Auth", "Stream", "History", "Log", "Queue", "Pool", "Replica"])
def test_every_key_is_read_by_code_that_acts_on_it(table: str) -> None:
    definitions = cast("Mapping[str, Mapping[str, Mapping[str, object]]]", file_schema()["$defs"])
    keys = {READ_AS.get(key, key) for key in definitions[f"{table}Config"]["properties"]}
    assert {key for key in keys if not any(f".{key}" in text for text in ACTING)} == set()


@pytest.mark.req("ORCH-3027")
def test_every_log_field_is_described() -> None:
    assert set(LOG_FIELDS) == set(specs.load().log.fields)
