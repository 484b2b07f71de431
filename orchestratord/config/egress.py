"""Which hosts the adapters may reach: those that a replica's settings name, or those of a list.

A host stands in the settings as an address (`http://host:port/...`) or as `host:port`, under any key and at any depth,
so the rule holds for every engine, also for one we do not know. A list in the configuration takes the place of the
names: a host that the settings name and the list does not is told when the configuration is read.

Implements: ORCH-3080.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from adapter_api import Secret

from .problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .model import PoolConfig
    from .problems import KeyPath

_PORTS = {"http": 80, "https": 443, "grpc": 8001, "grpcs": 8001}
_HOST_AND_PORT = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$")
ALLOWED_PATTERN = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$"


class Endpoint(NamedTuple):
    """A host in lower case without brackets; port None is every port."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def policy(allow: Sequence[str] | None, settings: Mapping[str, object]) -> Callable[[str, int], bool]:
    """Return whether a replica with these settings may connect to a host and port."""
    if allow is None:
        permitted = {endpoint for _, endpoint in _named(settings, ())}
    else:
        permitted = {endpoint_of(text) for text in allow}

    def permits(host: str, port: int) -> bool:
        return _is_in(Endpoint(host.lower().strip("[]"), port), permitted)

    return permits


def egress_problems(allow: Sequence[str] | None, pools: Sequence[PoolConfig]) -> Iterator[Problem]:
    """Find every host that the settings name and the list does not."""
    if allow is None:
        return
    permitted = {endpoint_of(text) for text in allow}
    for at, pool in enumerate(pools):
        for number, replica in enumerate(pool.replicas):
            for path, endpoint in _named(replica.settings, ("pools", at, "replicas", number, "settings")):
                if not _is_in(endpoint, permitted):
                    yield Problem(path, f"{endpoint} is not in egress.allow: add it there or name another host here")


def endpoint_of(text: str) -> Endpoint:
    """Take an entry of the list apart: `host`, `host:port`, `[ipv6]` or `[ipv6]:port`."""
    match = _HOST_AND_PORT.match(text)
    host, port = (text, None) if match is None else (match[1], int(match[2]))
    return Endpoint(host.lower().strip("[]"), port)


def _is_in(endpoint: Endpoint, permitted: set[Endpoint]) -> bool:
    return endpoint in permitted or Endpoint(endpoint.host, None) in permitted


def _named(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, Endpoint]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _named(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _named(inner, (*path, at))
    elif isinstance(value, str | Secret):
        endpoint = _endpoint_in(value.reveal() if isinstance(value, Secret) else value)
        if endpoint is not None:
            yield path, endpoint


def _endpoint_in(text: str) -> Endpoint | None:
    if "://" not in text:
        return endpoint_of(text) if _HOST_AND_PORT.match(text) else None
    try:
        address = urlsplit(text)
        port = address.port or _PORTS.get(address.scheme)
    except ValueError:
        return None
    return Endpoint(address.hostname, port) if address.hostname else None
