"""Addresses to listen on: taking them apart, and whether they are loopback.

Only addresses that can be told to be loopback without asking anyone count as loopback; a host name other than
`localhost` does not.

Implements: AUTH-1002.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

BIND_PATTERN = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"


class Address(NamedTuple):
    """Where to listen; `host` without brackets, port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(text: str) -> Address:
    """Take `host:port` or `[ipv6]:port` apart; ValueError says what is wrong."""
    if not re.match(BIND_PATTERN, text):
        raise ValueError("expected host:port or [ipv6]:port")
    host, _, port = text.rpartition(":")
    if int(port) > 65_535:
        raise ValueError("a port is at most 65535")
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:-1])
    return Address(host.strip("[]"), int(port))
