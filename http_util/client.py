"""The one way to make an HTTP client for an engine.

Credentials never stay in the address: a user name and password in `base_url` become the `Authorization` header, since
httpx writes addresses to its log. Nothing is read from the environment, cookies are not kept, compressed bodies are not
asked for. Retries are `calls.py`.

Implements: HTU-1001, ORCH-3080.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

import httpx
import trio

from ._sockets import CLOSE_S
from .dialling import tls_context
from .egress import GuardedTransport
from .transport import Tls, TrioTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .egress import Permits
    from .transport import Dial


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Where the engine is and how to reach it.

    `connect_s` bounds the dial together with the TLS handshake, `request_s` each read of a call that sets no bound of
    its own. `verify` is True (the public authorities), the path of a PEM file with others, or False. `dial` takes the
    place of TCP, and then HTTP/2 and the proxy are not used. `permits(host, port)` is asked before every connection; a
    host that it denies is not looked up, let alone dialled.
    """

    base_url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_s: float = 5.0
    request_s: float = 30.0
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    max_connections: int = 1024
    dial: Dial | None = field(default=None, repr=False)
    permits: Permits = field(default=lambda _host, _port: True, repr=False)


@asynccontextmanager
async def open_client(settings: ClientSettings) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client; leaving the block closes every connection it has, in use or not, within a second.

    Raises `ValueError` for an address that is not an http or https one or that has a query, and `OSError` for a PEM
    file that cannot be read.
    """
    address = _address(settings.base_url)
    proxy = settings.proxy if settings.dial is None else None
    client = httpx.AsyncClient(
        base_url=address.copy_with(username=None, password=None),
        auth=(address.username, address.password) if address.userinfo else None,
        headers={"accept-encoding": "identity", "user-agent": "orchestratord", **settings.headers},
        timeout=httpx.Timeout(settings.request_s, connect=settings.connect_s, pool=settings.connect_s),
        cookies=_NoCookies(),
        transport=GuardedTransport(_transport(settings), settings.permits, proxy),
        trust_env=False,
    )
    try:
        yield client
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await client.aclose()


class _NoCookies(CookieJar):
    """A jar that nothing gets into: engines are not to recognise us, and a jar would only grow."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Drop them."""


def _address(base_url: str) -> httpx.URL:
    try:
        address = httpx.URL(base_url)
    except httpx.InvalidURL:
        address = httpx.URL()  # the text of the exception may quote a credential
    if address.scheme not in {"http", "https"} or not address.host or address.query or address.fragment:
        raise ValueError("an engine's address is http(s)://host[:port][/path], without a query")
    return address


def _transport(settings: ClientSettings) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(max_connections=settings.max_connections)
    if settings.proxy is not None and settings.dial is None:
        return httpx.AsyncHTTPTransport(
            verify=tls_context(settings.verify, "http/1.1"), proxy=settings.proxy, limits=limits, trust_env=False
        )
    tls = fallback = None
    if httpx.URL(settings.base_url).scheme == "https":
        tls = Tls(
            http1=tls_context(settings.verify, "http/1.1"), any_version=tls_context(settings.verify, "h2", "http/1.1")
        )
        if settings.dial is None:
            fallback = httpx.AsyncHTTPTransport(
                verify=tls_context(settings.verify), http2=True, limits=limits, trust_env=False
            )
    return TrioTransport(tls=tls, dial=settings.dial, max_connections=settings.max_connections, fallback=fallback)
