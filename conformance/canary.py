"""Secrets that sing: values that may appear nowhere, and the search for them in every form a leak can take.

A canary is made from the seed and the place it is put in, so a sighting names the place. Searched are the value itself,
its usual encodings, and any long piece of it, because a text cut to length can cut a secret in two. Pure.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from random import Random
from string import ascii_letters, digits
from typing import TYPE_CHECKING, final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

PLACES = ("api_key", "url", "prompt")
"""Where a canary can be put."""

SECRETS = ("api_key", "url")
"""Those that are credentials."""

TEXTS = ("prompt",)
"""Those that are what a person wrote."""

SETS = 8
"""How many sets of canaries there are: whoever masks a run masks all of them, however many schedules it has."""

SHORTEST_SECRET = 8
"""Characters: to blank shorter ones would blank ordinary words."""

_PIECE = 12  # characters: no ordinary word, id or number of a report shares so many with a random value


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary where none may be: `sink` says in what, `form` how it was written."""

    place: str
    form: str
    sink: str


@final
class Canaries:
    """One value for each place; `SETS` seeds in a row have all the values there are."""

    def __init__(self, seed: int) -> None:
        self._values = {place: _value(seed % SETS, place) for place in PLACES}
        self._forms = {place: tuple(forms_of(value)) for place, value in self._values.items()}

    def __repr__(self) -> str:
        return f"<Canaries {', '.join(self._values)}>"

    def __getitem__(self, place: str) -> str:
        return self._values[place]

    def find(self, text: str, sink: str, places: Iterable[str] = PLACES) -> Sighting | None:
        """Return the first canary seen in `text`."""
        for place in places:
            for form, written in self._forms[place]:
                if written in text:
                    return Sighting(place, form, sink)
        return None

    def mask(self, text: str) -> str:
        """Replace every canary by the name of its place; what the kit prints passes through here."""
        for place, forms in self._forms.items():
            for _, written in forms:
                if written in text:
                    text = text.replace(written, f"[canary:{place}]")
        return text


def forms_of(value: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each way to write `value`, whole ones first."""
    raw = value.encode()
    yield "as it is", value
    yield "JSON string", json.dumps(value)[1:-1].replace("/", "\\/")
    yield "percent-encoded", quote(value, safe="")
    yield "percent-encoded", "".join(f"%{byte:02x}" for byte in raw)
    yield "hexadecimal", raw.hex()
    yield "hexadecimal", raw.hex().upper()
    for shift in range(3):
        yield "base64", _inner_base64(raw, shift, base64.b64encode)
        yield "base64url", _inner_base64(raw, shift, base64.urlsafe_b64encode)
    yield "backwards", value[::-1]
    yield from (("in lower case", half.lower()) for half in re.split("[/+]+", value) if len(half) >= _PIECE)
    for start in range(len(value) - _PIECE + 1):
        yield "in part", value[start : start + _PIECE]


def written(secrets: Collection[str]) -> list[str]:
    """Return every way to write the secrets, the longest first; pieces of one are not among them."""
    forms = (form for secret in secrets for name, form in forms_of(secret) if name != "in part")
    return sorted({form for form in forms if len(form) >= SHORTEST_SECRET}, key=len, reverse=True)


def _inner_base64(raw: bytes, shift: int, encode: _Encode) -> str:
    """Return the characters that depend on `raw` alone when `shift` unknown bytes come before it."""
    text = encode(bytes(shift) + raw).decode("ascii").rstrip("=")
    whole = (shift + len(raw)) * 8 // 6
    return text[-(-shift * 8 // 6) : whole]


def _value(seed: int, place: str) -> str:
    random = Random(f"canary {seed} {place}")
    body = "".join(random.choice(ascii_letters + digits) for _ in range(30))
    return f"{body[:15]}/+{body[15:]}"


if TYPE_CHECKING:
    from typing import Protocol

    class _Encode(Protocol):
        def __call__(self, s: bytes) -> bytes: ...
