"""Answers made up from nothing but the seed and the prompt.

Pure: equal arguments give equal answers in every process. The text reads like prose so that a demonstration is worth
looking at; it means nothing. Pace, slots and failures are not decided here.

Implements: ORCH-3058.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from adapter_api import FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUBJECTS = (
    "the queue",
    "a patient worker",
    "every slot",
    "the model",
    "our scheduler",
    "one small token",
    "the stream",
)
_VERBS = ("waits for", "hands over", "remembers", "quietly finishes", "counts", "passes on", "never forgets")
_OBJECTS = ("the next task", "a full sentence", "its deadline", "the first answer", "what was asked", "every number")
_TAILS = ("", ", and then it rests", " without any hurry", ", as promised", " before the night is over", ", twice")

VECTOR_DIMENSIONS = 8
"""Length of an embedding: enough to tell texts apart, short enough to read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer cut into the pieces in which it is streamed, and why it ends."""

    pieces: tuple[str, ...]
    reason: FinishReason


def make_answer(prompt: str, seed: int, *, max_tokens: int, stop: tuple[str, ...]) -> Answer:
    """Make the answer to `prompt`: at most `max_tokens` pieces, and nothing of a stop string or after it."""
    random = Random(f"{seed}\0{prompt}")
    words = [word for _ in range(random.randint(3, 6)) for word in _sentence(random)]
    shown = "".join(words[:max_tokens])
    cut = min((at for at in map(shown.find, filter(None, stop)) if at >= 0), default=None)
    if cut is not None:
        return Answer(tuple(_first_characters(words, cut)), FinishReason.STOP)
    reason = FinishReason.LENGTH if max_tokens < len(words) else FinishReason.STOP
    return Answer(tuple(words[:max_tokens]), reason)


def count_tokens(text: str) -> int:
    """Count the mock's tokens in a prompt: its words, and one to begin with."""
    return 1 + len(text.split())


def embed(text: str) -> list[float]:
    """Return a unit vector that depends on every character of `text`."""
    digest = hashlib.sha256(text.encode()).digest()
    numbers = [byte / 127.5 - 1.0 for byte in digest[:VECTOR_DIMENSIONS]]
    length = math.sqrt(sum(number * number for number in numbers))
    return [round(number / length, 6) for number in numbers]


def relevance(query: str, document: str) -> float:
    """Return from 0 to 1 how many of the words in either text are in both."""
    wanted, there = set(query.lower().split()), set(document.lower().split())
    return round(len(wanted & there) / max(1, len(wanted | there)), 6)


def _sentence(random: Random) -> Iterator[str]:
    text = f"{random.choice(_SUBJECTS)} {random.choice(_VERBS)} {random.choice(_OBJECTS)}{random.choice(_TAILS)}."
    for word in text.capitalize().split():
        yield f" {word}"


def _first_characters(pieces: list[str], count: int) -> Iterator[str]:
    for piece in pieces:
        if count <= 0:
            return
        yield piece[:count]
        count -= len(piece)
