"""Broken order and broken payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .animals import Mutant

MUTANTS: tuple[Mutant, ...] = ()
