"""How vLLM adapters are made.

Implements: ADAPT-3000, HTU-1001.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import msgspec

from http_util.engine import open_engine
from http_util.settings import read_settings, settings_schema

from .adapter import VllmAdapter
from .errors import RULES
from .server import Server
from .settings import VllmSettings, root_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue


@final
class VllmFactory:
    """Opens vLLM adapters."""

    engine = "vllm"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `VllmSettings`."""
        return settings_schema(VllmSettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[VllmAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = read_settings(VllmSettings, settings)
        given = msgspec.structs.replace(given, url=root_url(given.url))
        async with open_engine(given, context, rules=RULES) as engine:
            yield VllmAdapter(Server(engine, given))
