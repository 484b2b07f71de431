"""Taking what a person wrote out of what is told of a failure.

Engines quote the prompt in their errors, and an exception may hold it; both reach logs and pool health, where a prompt
has no place. Every run of `RUN_CHARACTERS` or more that the text shares with the request is masked. A shorter run is
no news to anybody, and masking it would blank ordinary words.

Implements: AH-3001a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter_api import TaskRequest

MASK = "[prompt]"
RUN_CHARACTERS = 16
TEXT_CHARACTERS = 500
"""More of a text is not looked at, and so not told: engines' words are at most 300 characters, ours fewer."""
_SEED = RUN_CHARACTERS // 2


def discreet(redact: Callable[[str], str], request: TaskRequest) -> Callable[[str], str]:
    """Return `redact` with the masking of what the request's author wrote behind it."""

    def told(text: str) -> str:
        return without_quotes(redact(text)[:TEXT_CHARACTERS], _written(request))

    return told


def without_quotes(text: str, written: str) -> str:
    """Mask every long run of `text` that stands in `written`.

    A run holds a whole seed, so most places need no search of their own: a prompt may have millions of characters.
    """
    known = [text[at : at + _SEED] in written for at in range(0, len(text), _SEED)]
    pieces, kept, at = list[str](), 0, 0
    while at + RUN_CHARACTERS <= len(text):
        run = _run(text, at, written) if known[-(-at // _SEED)] else 0
        if run:
            pieces += [text[kept:at], MASK]
            kept = at + run
        at += run or 1
    return "".join([*pieces, text[kept:]])


def _run(text: str, at: int, written: str) -> int:
    """Return how many characters from `at` on stand in `written` too; 0 for fewer than a run."""
    found = written.find(text[at : at + RUN_CHARACTERS])
    if found < 0:
        return 0
    length = RUN_CHARACTERS
    while text[at + length : at + length + 1] == written[found + length : found + length + 1] != "":
        length += 1
    return length


def _written(request: TaskRequest) -> str:
    messages = (message.content for message in request.messages)
    return "\0".join([request.prompt, *messages, *request.inputs, *request.sampling.stop])
