"""What the tutorial shows is what the example holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "write-an-adapter.md"
EXAMPLE = ROOT / "examples" / "parrot-adapter"
SHOWN = [block for block in blocks("python", "toml") if block.page == PAGE]
FILES = [path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*") if path.suffix in {".py", ".toml"}]


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_a_block_of_the_tutorial_stands_in_the_example(block: Block) -> None:
    assert any(block.text in file for file in FILES)


def test_the_tutorial_shows_code() -> None:
    assert len(SHOWN) >= 10
