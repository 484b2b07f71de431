"""How Triton adapters are made.

Implements: ADAPT-3000, HTU-1001.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, final

import msgspec

from http_util.engine import open_engine

from .adapter import TritonAdapter
from .errors import RULES
from .grpc_transport import GrpcTransport
from .server import Server
from .settings import Transport, parse, schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue
    from http_util.engine import Engine

    from .settings import TritonSettings


@final
class TritonFactory:
    """Opens Triton adapters."""

    engine = "triton"

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """The schema of `TritonSettings`."""
        return schema()

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[TritonAdapter]:
        """Open an adapter; raise `msgspec.ValidationError`, or `ValueError` for an address that is none."""
        given = parse(settings)
        async with AsyncExitStack() as held:
            engine = await held.enter_async_context(open_engine(given, context, rules=RULES, headers=given.headers))
            server = Server(engine, await _metrics(held, given, context), given)
            grpc = None
            if given.transport is Transport.GRPC:
                grpc = GrpcTransport(server.grpc_endpoint(), engine, given)
                held.push_async_callback(grpc.aclose)
            yield TritonAdapter(server, grpc)


async def _metrics(held: AsyncExitStack, given: TritonSettings, context: AdapterContext) -> Engine | None:
    """Open the listener for metrics, which gets no key: it is another server to whoever stands before it."""
    if given.metrics_url is None:
        return None
    settings = msgspec.structs.replace(given, url=given.metrics_url, api_key=None)
    return await held.enter_async_context(open_engine(settings, context, rules=RULES))
