"""Pieces of text out of responses that hold the next piece, or all text so far.

Pure. What is given is never taken back and never ends inside a character: bytes of a character that is not complete
wait, and so does a U+FFFD at the end of repeated text, which is how a detokenizer shows such a character.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

import codecs
from typing import Protocol, final

_REPLACEMENT = "\ufffd"
_HELD_CHARS = 3
"""A character has at most four bytes, so at most three stand-ins can be at the end before it is complete."""


class Pieces(Protocol):
    """Turns the text of each response into the text that is new."""

    def take(self, text: str | bytes) -> str:
        """Return what is new in this response, maybe nothing."""

    def rest(self) -> str:
        """Return what was held back, at the end of the stream."""


@final
class Delta:
    """For responses that hold the next piece."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, text: str | bytes) -> str:
        """Return the characters that this piece completes."""
        if isinstance(text, bytes):
            return self._decoder.decode(text)
        has_rest = bool(self._decoder.getstate()[0])
        return self._decoder.decode(text.encode()) if has_rest else text

    def rest(self) -> str:
        """Return a stand-in if the stream ended inside a character."""
        return self._decoder.decode(b"", final=True)


@final
class Cumulative:
    """For responses that hold all text so far."""

    __slots__ = ("_given", "_held")

    def __init__(self) -> None:
        self._given = ""
        self._held = ""

    def take(self, text: str | bytes) -> str:
        """Return what follows the longest common prefix of this text and the one before."""
        whole = text if isinstance(text, str) else text.decode("utf-8", "replace")
        stable = _without_stand_ins(whole)
        new = stable[_common_prefix(self._given, stable) :]
        self._held = whole[len(stable) :]
        if not self._given.startswith(stable):  # else the text got shorter: a stop word was taken off its end
            self._given = stable
        return new

    def rest(self) -> str:
        """Return the stand-ins that were no character to come."""
        held, self._held = self._held, ""
        return held


def _without_stand_ins(text: str) -> str:
    kept = text.rstrip(_REPLACEMENT)
    return text[: max(len(kept), len(text) - _HELD_CHARS)]


def _common_prefix(one: str, other: str) -> int:
    if other.startswith(one):  # nearly always
        return len(one)
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
