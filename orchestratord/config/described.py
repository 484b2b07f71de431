"""How a key of the file is described: its meaning, its range and an example, for the schema and the commented file."""

from __future__ import annotations

import msgspec

DAY_MS = 86_400_000


def meta(description: str, *, ge: float | None = None, le: float | None = None, example: object = None) -> msgspec.Meta:
    """Describe a key."""
    examples = None if example is None else [example]
    return msgspec.Meta(description=description, ge=ge, le=le, examples=examples)


def text(description: str, *, example: str, pattern: str | None = None) -> msgspec.Meta:
    """Describe a key that takes a text, which is not empty."""
    return msgspec.Meta(description=description, examples=[example], pattern=pattern, min_length=1)
