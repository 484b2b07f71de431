"""Stopping early: before the start, during a report, while the engine is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.check import Check

CHECKS: tuple[Check, ...] = ()
