"""Steps outside of the case: the real clock, threads, sockets, randomness, files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.check import Check

CHECKS: tuple[Check, ...] = ()
