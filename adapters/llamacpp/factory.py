"""How llama.cpp adapters are made.

Implements: ADAPT-3000, HTU-1001.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

from http_util.engine import open_engine
from http_util.settings import read_settings, settings_schema

from .adapter import LlamaCppAdapter
from .errors import RULES
from .server import Server
from .settings import LlamaCppSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue


@final
class LlamaCppFactory:
    """Opens llama.cpp adapters."""

    engine = "llamacpp"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `LlamaCppSettings`."""
        return settings_schema(LlamaCppSettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[LlamaCppAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = read_settings(LlamaCppSettings, settings)
        async with open_engine(given, context, rules=RULES) as engine:
            yield LlamaCppAdapter(Server(engine, given))
