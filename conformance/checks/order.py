"""Frame order beyond the everyday: metrics, two ends at once, very long streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.check import Check

CHECKS: tuple[Check, ...] = ()
