"""What the tests of the documentation read: its pages, and the code blocks, links and headings in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from docs.generator import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*pages(), *sorted(ROOT.glob("*.md"))]
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_PUNCTUATION = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def tokens(page: Path) -> list[Token]:
    """The page, parsed."""
    return _MARKDOWN.parse(page.read_text(encoding="utf-8"))


def blocks(*languages: str) -> list[Block]:
    """Every fenced block in one of the languages, on any page."""
    return [block for page in PAGES for block in _blocks(page) if block.language in languages]


def links(page: Path) -> list[str]:
    """Where the links of a page lead."""
    inline = (child for token in tokens(page) for child in token.children or ())
    return [str(child.attrs["href"]) for child in inline if child.type == "link_open"]


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that the headings of a page make, as GitHub makes them."""
    found = tokens(page)
    titles = (found[at + 1].content for at, token in enumerate(found) if token.type == "heading_open")
    return frozenset(_PUNCTUATION.sub("", title.lower()).replace(" ", "-") for title in titles)


def _blocks(page: Path) -> Iterator[Block]:
    for token in tokens(page):
        if token.type == "fence" and token.map is not None:
            yield Block(page, token.map[0] + 1, token.info.split(" ")[0], token.content)
