"""Finding adapters by the name of their engine, without importing any of them here.

A third party's package offers its factory through the entry-point group `orchestratord.adapters` and is found the same
way as ours.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ._adapter import AdapterFactory

GROUP = "orchestratord.adapters"


class AdapterNotFound(LookupError):
    """No installed package offers an adapter for this engine; the text lists the ones that are there."""


def installed_engines() -> tuple[str, ...]:
    """Return the names of the engines that have an adapter installed, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_factory(engine: str) -> AdapterFactory:
    """Import and return the factory for `engine`; raise `AdapterNotFound` if there is none."""
    for point in entry_points(group=GROUP, name=engine):
        return cast("AdapterFactory", point.load())
    known = ", ".join(installed_engines()) or "none"
    raise AdapterNotFound(f"no adapter for engine {engine!r} is installed (installed: {known})")
