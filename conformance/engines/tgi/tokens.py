"""The double's tokenizer: made-up tokens that behave like real ones.

A special token that is written in a text is one token of it; one that the tokenizer adds stands nowhere in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.engines import made_up

if TYPE_CHECKING:
    from collections.abc import Sequence

BOS, EOS = 1, 2
BOS_TEXT, EOS_TEXT = "<s>", "</s>"


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of a text and where it stands, counted in characters."""

    id: int
    text: str
    start: int
    stop: int


def tokenize(text: str, *, adds_bos: bool) -> list[Piece]:
    """Cut a text into made-up tokens: the special ones, words with their leading space, and single signs."""
    added = [Piece(BOS, "", 0, 0)] if adds_bos else []
    found = re.finditer(r"</?s>| ?\w+|[^\w\s]|\s", text)
    return added + [Piece(token_id(match[0]), match[0], match.start(), match.end()) for match in found]


def token_id(text: str) -> int:
    """Return the made-up id of a token."""
    return {BOS_TEXT: BOS, EOS_TEXT: EOS}.get(text) or made_up.token_id(text)


def ids(pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Return the ids of some tokens."""
    return tuple(piece.id for piece in pieces)
