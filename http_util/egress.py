"""The egress policy at the one place where an adapter's requests pass: asked for each, before any look-up or dial.

With a proxy both hosts are asked for, the proxy's and the engine's: the first is who we speak to, the second who gets
the request.

Implements: ORCH-3080.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import httpx

from ._failures import NotPermitted
from ._sockets import origin_of

if TYPE_CHECKING:
    from ._sockets import Origin

Permits = Callable[[str, int], bool]
"""`permits(host, port)`: whether a connection may be made; must not block."""


@final
class GuardedTransport(httpx.AsyncBaseTransport):
    """A transport that sends nothing to a host that `permits` denies."""

    def __init__(self, inner: httpx.AsyncBaseTransport, permits: Permits, proxy: str | None) -> None:
        self.inner = inner
        self._permits = permits
        self._proxy = None if proxy is None else _proxy_origin(proxy)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send as `inner` does; raise `NotPermitted` first where the policy says no."""
        for origin in (self._proxy, origin_of(request.url)):
            if origin is not None and not self._permits(origin.host, origin.port):
                raise NotPermitted(f"no connection to {origin.host}:{origin.port}")
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close `inner`."""
        await self.inner.aclose()


def _proxy_origin(proxy: str) -> Origin:
    return origin_of(httpx.URL(proxy))
