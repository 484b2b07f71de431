"""What may not be told of a visit: the token, and the secrets that the kit itself put into requests.

The kit also sends tokens that are nearly right, so a piece of the token, in either case, is masked like the whole.
"""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING

from conformance.canary import SHORTEST_SECRET, Canaries, written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .target import Target

LONGEST = 2000
"""Characters of one thing that was said which are kept; a line on the terminal has fewer."""
_MARK = "[token]"
_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def mask_for(target: Target) -> Callable[[str], str]:
    """Return a function that takes the token, however it is written, and the canaries out of a text."""
    canaries, forms = Canaries(0), [*written(target.secrets), *target.secrets]
    pieces = {piece for secret in target.secrets for piece in _pieces(secret.translate(_SMALL))}

    def mask(text: str) -> str:
        for form in forms:
            text = text.replace(form, _MARK)
        return canaries.mask(_without(pieces, text))

    return mask


def shortened(text: str) -> str:
    """Return a text that was masked before at a length that can be kept."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"


def _pieces(secret: str) -> list[str]:
    return [secret[start : start + SHORTEST_SECRET] for start in range(len(secret) - SHORTEST_SECRET + 1)]


def _without(pieces: Collection[str], text: str) -> str:
    """Return the text with a mark in place of whatever pieces cover together."""
    small = text.translate(_SMALL)
    if not any(piece in small for piece in pieces):
        return text
    told, hidden_to = list[str](), 0
    for start in range(len(small) - SHORTEST_SECRET + 1):
        if small[start : start + SHORTEST_SECRET] in pieces:
            if start > hidden_to or not told:
                told += [text[hidden_to:start], _MARK]
            hidden_to = start + SHORTEST_SECRET
    return "".join((*told, text[hidden_to:]))
