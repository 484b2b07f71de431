"""The shapes in which one credential turns up: raw, escaped, percent-encoded, in hex and in base64 at any alignment.

A peer that echoes a request quotes it in its own way. The base64 forms leave out the characters that depend on the
neighbours, so a password is found inside the base64 of `user:password` as well.

Implements: HTU-1004.
"""

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

MIN_VALUE_CHARS = 8
"""Shorter values are ordinary words too often to be blanked wherever they stand."""


def encodings(value: str) -> frozenset[str]:
    """Return every form of `value` to look for; empty if it is too short to be looked for."""
    if len(value) < MIN_VALUE_CHARS:
        return frozenset()
    raw = value.encode("utf-8", "surrogatepass")
    return frozenset((value, *_escaped(value), *_percent(raw), raw.hex(), raw.hex().upper(), *_base64(raw)))


def _escaped(value: str) -> Iterator[str]:
    once = json.dumps(value)[1:-1]
    yield once
    yield json.dumps(once)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)


def _percent(raw: bytes) -> Iterator[str]:
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield _lower_escapes(encoded)


def _lower_escapes(encoded: str) -> str:
    head, *rest = encoded.split("%")
    return "".join([head, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)])


def _base64(raw: bytes) -> Iterator[str]:
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw).decode()
        whole = encoded[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")
