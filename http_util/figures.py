"""Figures as an engine may tell them; any other makes the answer one that is not the engine's protocol.

A count below zero, or one that no machine holds, says that the fields mean something else than we think: better no
answer than one with wrong figures in it.

Implements: ADAPT-3002, HTU-1006.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""How many there are of something: tokens, slots, requests."""
