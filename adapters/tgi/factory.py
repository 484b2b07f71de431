"""How TGI adapters are made.

Implements: ADAPT-3000, HTU-1001.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

from http_util.engine import open_engine
from http_util.settings import read_settings, settings_schema

from .adapter import TgiAdapter
from .errors import RULES
from .settings import TgiSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue


@final
class TgiFactory:
    """Opens TGI adapters."""

    engine = "tgi"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `TgiSettings`."""
        return settings_schema(TgiSettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[TgiAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = read_settings(TgiSettings, settings)
        async with open_engine(given, context, rules=RULES) as engine:
            yield TgiAdapter(engine, given)
