"""What looks like a requirement or a table and would not be read as one.

Markdown has many places that a reader of the source takes for text: comments, indented blocks, definitions of links,
everything behind a fence without an end. A statement that slipped into one would be gone, and nobody the wiser.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from ._errors import Fault, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

_ID = r"[A-Z][A-Z0-9]*(?:-[A-Z][A-Z0-9]*)*-\d{4}[a-z]?"
HEAD = re.compile(rf"\[({_ID}) r([1-9]\d*)((?:, {_ID})*)\] (?=\S)")
"""The head of a requirement: id, revision, older ids."""
_ANY_HEAD = re.compile(rf"\[{_ID} r\d")
_LABEL = re.compile(rf"{_ID} r\d+\b.*", re.IGNORECASE)


def stray_requirement(text: str) -> int:
    """Return the line of the first requirement or table in a text that is no document; 0 if there is none."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    items = [token for item, token in zip(tokens, tokens[2:], strict=False) if item.type == "list_item_open"]
    found = [line_of(token) for token in items if token.type == "inline" and _ANY_HEAD.match(token.content)]
    found += [line_of(token) for token in tokens if token.type == "fence" and "spec=" in token.info]
    return min(found, default=0)


def read_tokens(file: str, text: str) -> list[Token]:
    """Parse a text; what Markdown takes for a definition of a link, or for a block without an end, is an error."""
    environment: dict[str, dict[str, object]] = {}
    tokens = MarkdownIt("commonmark").enable("table").parse(text, environment)
    lines = text.split("\n")
    for label in environment.get("references", {}):
        if _LABEL.fullmatch(label):
            named = f"[{label}]".lower()
            line = next((number for number, each in enumerate(lines, 1) if named in each.lower()), 1)
            message = f"`[{label.title()}]:` defines a link; a requirement has no colon after its head"
            raise SpecError(file, line, message, Fault.UNSEEN)
    for token in tokens:
        if token.type == "fence" and token.map is not None and not _is_closed(token, lines[token.map[1] - 1]):
            message = f"the block that begins here has no end ({token.markup}); all that follows is in it"
            raise SpecError(file, line_of(token), message, Fault.UNSEEN)
    return tokens


def _is_closed(token: Token, last: str) -> bool:
    end = last.strip(" >\t")
    return end.startswith(token.markup) and not end.strip(token.markup[0])


def expect_none_unseen(file: str, tokens: list[Token]) -> None:
    """Raise for what looks like a requirement where none is read: in HTML, in an indented block, inside a paragraph."""
    for parent, token in zip([None, None, *tokens], tokens, strict=False):
        is_item = parent is not None and parent.type == "list_item_open"
        for part in _loose_texts(token, is_item=is_item):
            if found := _ANY_HEAD.search(part):
                line = line_of(token) + token.content.count("\n", 0, max(0, token.content.find(found[0])))
                message = f"{found[0]}…] is no requirement here; one is an item of a list and begins with its id"
                raise SpecError(file, line, message, Fault.UNSEEN)


def _loose_texts(token: Token, *, is_item: bool) -> Iterator[str]:
    """Yield what a reader sees as text and is no requirement: of one, what comes behind its head."""
    if token.type in {"html_block", "code_block"}:
        yield token.content
    head = HEAD.match(token.content) if is_item else None
    skipped = head.end() if head is not None else 0
    for child in token.children or []:
        if child.type in {"text", "html_inline"}:
            yield child.content[skipped:]
        skipped = 0


def line_of(token: Token) -> int:
    """Return the line where a token begins."""
    return token.map[0] + 1 if token.map is not None else 1
