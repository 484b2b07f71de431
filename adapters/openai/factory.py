"""How OpenAI adapters are made.

Implements: ADAPT-3000, OC-ADAPT-OAI-6001, OC-ADAPT-OAI-6020.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import msgspec

from http_util.engine import open_engine
from http_util.settings import read_settings, settings_schema

from .adapter import OpenAIAdapter
from .errors import RULES
from .server import Server
from .settings import OpenAISettings, base_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue


@final
class OpenAIFactory:
    """Opens OpenAI adapters."""

    engine = "openai"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `OpenAISettings`."""
        return settings_schema(OpenAISettings)

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[OpenAIAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = read_settings(OpenAISettings, settings)
        given = msgspec.structs.replace(given, url=base_url(given.url))
        async with open_engine(given, context, rules=RULES, headers=_headers(given)) as engine:
            yield OpenAIAdapter(Server(engine, given))


def _headers(given: OpenAISettings) -> dict[str, str]:
    headers = {
        "authorization": None if given.api_key is None else f"Bearer {given.api_key.reveal()}",
        "openai-organization": given.organization,
        "openai-project": given.project,
    }
    return {name: value for name, value in headers.items() if value is not None}
