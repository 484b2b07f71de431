"""Writing sample secrets without writing secrets.

A document that shows what a key looks like would set off every scanner of repositories, so samples are templates:
`{alnum:24}` stands for 24 characters made up here, the same ones each time. What a template generates is the secret;
what stands around it is not. `{dashes}` stands for the five dashes around the name of a PEM block, and is no secret.
"""

from __future__ import annotations

import re
from hashlib import sha256

from ._rows import Sample

_SLOT = re.compile(r"\{([a-z0-9]+):(\d+)\}")
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_DIGIT = "0123456789"
ALPHABETS = {
    "alnum": _LOWER + _LOWER.upper() + _DIGIT,
    "upper": _LOWER.upper() + "234567",
    "lower": _LOWER,
    "digit": _DIGIT,
    "hex": _DIGIT + "abcdef",
    "url": _LOWER + _LOWER.upper() + _DIGIT + "-_",
    "base64": _LOWER + _LOWER.upper() + _DIGIT + "+/",
}
"""Name of a slot -> the characters it is filled with."""


def expand(template: str) -> Sample:
    """Fill the slots of a template; ValueError names a slot that is not known."""
    secrets: list[str] = []

    def fill(slot: re.Match[str]) -> str:
        if slot[1] not in ALPHABETS:
            raise ValueError(f"unknown slot {slot[0]}; the slots are {', '.join(ALPHABETS)}")
        secrets.append(_characters(f"{template} {len(secrets)}", ALPHABETS[slot[1]], int(slot[2])))
        return secrets[-1]

    return Sample(_SLOT.sub(fill, template.replace("{dashes}", "-----")), tuple(secrets))


def _characters(seed: str, alphabet: str, count: int) -> str:
    """Made-up characters; the first is a letter or digit and one is a digit, as in every real key."""
    blocks = (sha256(f"{seed} {number}".encode()).digest() for number in range(count // 32 + 1))
    text = "".join(alphabet[byte % len(alphabet)] for block in blocks for byte in block)[:count]
    solid = [char for char in alphabet if char.isalnum()]
    digit = next((char for char in alphabet if char.isdigit()), solid[0])
    return f"{solid[len(seed) % len(solid)]}{text[1 : count - 1]}{digit}"[:count]
