"""Reading one document: which list items are requirements, and which fenced blocks are tables.

A list item that begins with `[` is a requirement: `- [ID r1] statement` or `- [ID r1, OLDER-ID] statement`, with
exactly one keyword of RFC 2119 in capitals outside code. A capitalised keyword anywhere else is an error, so that no
requirement can hide in prose; so is the head of one in a comment or an indented block. A fenced block whose info string
has `spec=` is a table, one with a bare language is an example for readers. Positions are lines of the file, from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._errors import Fault, SpecError
from ._model import Level, Requirement
from ._unseen import HEAD, expect_none_unseen, line_of, read_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from markdown_it.token import Token

_KEYWORD = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
_FOREIGN = re.compile(r"\b(SHALL|REQUIRED|RECOMMENDED|OPTIONAL)\b")
_ATTRIBUTE = re.compile(r"([a-z]+)=([A-Za-z0-9_.-]+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what it is a table of, for what, and its text; `line` is the line of the fence."""

    file: str
    line: int
    language: str
    kind: str
    attributes: Mapping[str, str]
    text: str

    def error(self, message: str, offset: int = 0, fault: Fault = Fault.TABLE) -> SpecError:
        """Return the error at the fence, or at the `offset`-th line of the text (from 1)."""
        return SpecError(self.file, self.line + offset, message, fault)


@dataclass(frozen=True, slots=True)
class Document:
    """What one file holds, in its order."""

    requirements: tuple[Requirement, ...]
    blocks: tuple[Block, ...]


def read_document(file: str, text: str) -> Document:
    """Read a document; raise `SpecError` where it is malformed. `file` is the name for messages."""
    tokens = read_tokens(file, text)
    if not any(token.type == "heading_open" and token.tag == "h1" for token in tokens):
        raise SpecError(file, 1, "the document has no title (a line `# Title`)", Fault.EMPTY)
    requirements = tuple(_requirements(file, tokens))
    expect_none_unseen(file, tokens)
    if not requirements:
        raise SpecError(file, 1, "the document has no requirement (an item `- [ID r1] statement`)", Fault.EMPTY)
    return Document(requirements, tuple(_blocks(file, tokens)))


def _requirements(file: str, tokens: list[Token]) -> Iterator[Requirement]:
    section = ""
    for parent, before, token in zip([None, None, *tokens], [None, *tokens], tokens, strict=False):
        if token.type != "inline":
            continue
        line = line_of(token)
        if parent is not None and parent.type == "list_item_open" and token.content.startswith("["):
            yield _requirement(file, line, section, token)
        elif found := _KEYWORD.search(_prose(token)):
            message = f"{found[0]} outside a requirement; write it in lower case or as an item with an id"
            raise SpecError(file, line, message, Fault.HIDDEN)
        elif before is not None and before.type == "heading_open":
            section = token.content


def _requirement(file: str, line: int, section: str, token: Token) -> Requirement:
    head = HEAD.match(token.content)
    if head is None:
        message = "an item in brackets is a requirement and begins with `[ID r1]` or `[ID r1, OLDER-ID]`"
        raise SpecError(file, line, message, Fault.HEAD)
    return Requirement(
        id=head[1],
        revision=int(head[2]),
        level=_level(file, line, head[1], _prose(token)),
        statement=_statement(token)[head.end() :],
        document=file,
        line=line,
        section=section,
        aliases=tuple(head[3].split(", ")[1:]),
    )


def _level(file: str, line: int, id: str, prose: str) -> Level:
    if foreign := _FOREIGN.search(prose):
        message = f"{id} says {foreign[0]}; the keywords are MUST, SHOULD, MAY and their negations"
        raise SpecError(file, line, message, Fault.FOREIGN)
    keywords = _KEYWORD.findall(prose)
    if len(keywords) != 1:
        found = " and ".join(keywords) or "none"
        message = f"{id} needs exactly one keyword (MUST, MUST NOT, SHOULD, MAY); found {found}"
        raise SpecError(file, line, message, Fault.KEYWORD)
    return Level(keywords[0])


def _blocks(file: str, tokens: list[Token]) -> Iterator[Block]:
    for token in tokens:
        language, _, attributes = token.info.strip().partition(" ") if token.type == "fence" else ("", "", "")
        if not attributes and "spec" not in language.lower():
            continue
        parsed = [_ATTRIBUTE.fullmatch(word) for word in attributes.split()]
        named = {found[1]: found[2] for found in parsed if found is not None}
        if None in parsed or "spec" not in named or len(named) < len(parsed):
            message = f"the info string of a table is `{language} spec=KIND key=value ...`, each key once"
            raise SpecError(file, line_of(token), message, Fault.UNKNOWN_TABLE)
        yield Block(file, line_of(token), language, named.pop("spec"), named, token.content)


def _prose(token: Token) -> str:
    """The text of a paragraph without its code, in one line."""
    children = token.children or []
    return "".join(
        " " if child.type.endswith("break") else child.content for child in children if child.type != "code_inline"
    )


def _statement(token: Token) -> str:
    """The text of a paragraph with its code but without emphasis, in one line."""
    pieces = {"softbreak": " ", "hardbreak": " "}
    return "".join(
        f"`{child.content}`" if child.type == "code_inline" else pieces.get(child.type, child.content)
        for child in token.children or []
    )
