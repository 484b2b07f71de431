"""How llama.cpp adapters are made.

Implements: ADAPT-3000, HTU-1001.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

from http_util.client import ClientSettings, open_client

from . import settings as _settings
from .adapter import LlamaCppAdapter
from .server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue

    from .settings import LlamaCppSettings


@final
class LlamaCppFactory:
    """Opens llama.cpp adapters."""

    engine = "llamacpp"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `LlamaCppSettings`."""
        return _settings.schema()

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[LlamaCppAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = _settings.parse(settings)
        async with open_client(_client_settings(given, context)) as client:
            server = Server(client, given, context)
            try:
                yield LlamaCppAdapter(server, given, context)
            finally:
                server.close()


def _client_settings(given: LlamaCppSettings, context: AdapterContext) -> ClientSettings:
    key = given.api_key
    return ClientSettings(
        base_url=given.url,
        headers={} if key is None else {"authorization": f"Bearer {key.reveal()}"},
        connect_s=given.timeouts.connect_ms / 1000,
        proxy=None if given.proxy is None else given.proxy.reveal(),
        verify=given.verify_tls,
        dial=context.dial,
    )
