"""What may not be told of a visit: the token, and the secrets that the kit itself put into requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.canary import Canaries, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from .target import Target

LONGEST = 2000
"""Characters of one thing that was said which are kept; a line on the terminal has fewer."""


def mask_for(target: Target) -> Callable[[str], str]:
    """Return a function that takes the token, however it is written, and the canaries out of a text."""
    canaries, forms = Canaries(0), [*written(target.secrets), *target.secrets]

    def mask(text: str) -> str:
        for form in forms:
            text = text.replace(form, "[token]")
        return canaries.mask(text)

    return mask


def shortened(text: str) -> str:
    """Return a text that was masked before at a length that can be kept."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"
