"""What a double says where a script says nothing: text, tokens, vectors and scores that follow from the request.

Pure, and the same in every process: two equal requests with one seed get the same words.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable

WORDS = ("the", "river", "runs", "past", "a", "quiet", "mill", "and", "over", "smooth", "stones", "café", "—", "漢字")
_VOCABULARY = 997


def word(prompt: str, seed: int, number: int) -> str:
    """Return the word after `number` words, with its leading space."""
    return " " + WORDS[crc32(f"{prompt}/{seed}/{number}".encode()) % len(WORDS)]


def answer(words: Iterable[str], stops: Iterable[str], *, keeps_stop: bool = False) -> tuple[list[str], str]:
    """Return what is said of the words, and why it ends there: `length`, or `stop_string` before the first of `stops`.

    With `keeps_stop` the stop string is still said.
    """
    said = list(words)
    whole = "".join(said)
    found = [(whole.find(stop), stop) for stop in stops if stop and stop in whole]
    if not found:
        return said, "length"
    at, stop = min(found)
    return _cut(said, at + (len(stop) if keeps_stop else 0)), "stop_string"


def _cut(words: list[str], size: int) -> list[str]:
    """Return the words up to so many characters."""
    kept = []
    for word in words:
        if size <= 0:
            break
        kept.append(word[:size])
        size -= len(word)
    return kept


def token_id(text: str) -> int:
    """Return the id of a piece of text; 0 to 2 are left for special tokens."""
    return 3 + crc32(text.encode()) % _VOCABULARY


def tokenize(text: str) -> tuple[int, ...]:
    """Cut a text into token ids: words with their leading space, and single signs."""
    return tuple(token_id(piece) for piece in pieces(text))


def pieces(text: str) -> list[str]:
    """Cut a text into what one token stands for."""
    return re.findall(r" ?\w+|[^\w\s]|\s", text)


def vector(text: str, size: int) -> list[float]:
    """Return an embedding of `size` figures between -1 and 1."""
    return [(crc32(f"{n}{text}".encode()) % 2001 - 1000) / 1000 for n in range(size)]


def score(query: str, document: str) -> float:
    """Return how many words two texts share, with a fraction that keeps scores apart."""
    shared = set(query.lower().split()) & set(document.lower().split())
    return len(shared) + crc32(document.encode()) % 1000 / 1000


def name(kind: str, number: int, size: int = 16) -> str:
    """Return an identifier that looks random: `kind` and `size` hexadecimal digits."""
    return kind + sha256(f"{kind}{number}".encode()).hexdigest()[:size]
