"""Failures that come together, with advice, or in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.check import Check

CHECKS: tuple[Check, ...] = ()
