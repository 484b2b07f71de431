"""Many requests at once, and one after the other for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.check import Check

CHECKS: tuple[Check, ...] = ()
