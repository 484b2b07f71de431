"""A byte stream to an engine, for an adapter that speaks something else than HTTP/1.1.

The same rules as for HTTP: the egress policy is asked before any look-up, TLS is verified, connecting is bounded, and a
failure is a `WorkerError` with the words of the common table. Closing is at once and without a farewell.

Implements: HTU-1001, HTU-1006, ORCH-3080.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import trio

from ._failures import NotPermitted, worker_error
from ._sockets import CLOSE_S, Origin, close, open_stream, sever

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from adapter_api import AdapterContext

__all__ = ["Endpoint", "close", "connected", "sever", "tls_context"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to; `tls` None is plain TCP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def tls_context(verify: bool | str, *protocols: str) -> ssl.SSLContext:
    """Return a context that offers `protocols` by ALPN.

    `verify` is True (the public authorities), the path of a PEM file with others, or False. Raises `OSError` for a file
    that cannot be read.
    """
    if isinstance(verify, str):
        context = ssl.create_default_context(cafile=verify)
    else:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@asynccontextmanager
async def connected(
    endpoint: Endpoint, context: AdapterContext, *, connect_s: float, phase: str
) -> AsyncIterator[trio.abc.Stream]:
    """Yield a connection and close it after the block, in at most a second; raise `WorkerError` if there is none.

    Cancelled leaves nothing open.
    """
    stream = await _opened(endpoint, context, connect_s, phase)
    try:
        yield stream
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await close(stream)


async def _opened(endpoint: Endpoint, context: AdapterContext, connect_s: float, phase: str) -> trio.abc.Stream:
    try:
        return await _open(endpoint, context, connect_s)
    except httpx.RequestError as failure:
        error = worker_error(failure, phase)
    raise error


async def _open(endpoint: Endpoint, context: AdapterContext, connect_s: float) -> trio.abc.Stream:
    if not context.permits(endpoint.host, endpoint.port):
        raise NotPermitted(f"no connection to {endpoint.host}:{endpoint.port}")
    origin = Origin("http" if endpoint.tls is None else "https", endpoint.host, endpoint.port)
    with trio.move_on_after(connect_s):
        return await open_stream(origin, context.dial, endpoint.tls)
    raise httpx.ConnectTimeout(f"not within {connect_s:g} s")
