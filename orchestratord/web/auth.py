"""Who is asking? One shared token, compared in constant time.

With `trust_proxy`, a reverse proxy on this machine has already asked: what it injects is not compared again. A proxy
elsewhere injects the token itself, so nothing but loopback is trusted this way.

Implements: AUTH-1001, AUTH-1004, AUTH-1005, AUTH-1006, AUTH-1007.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING

from orchestratord.errors import Code, ErrorEnvelope, Refused

if TYPE_CHECKING:
    from orchestratord.config import Auth

OPEN_PATHS = frozenset({"/livez", "/readyz"})
LOCALHOST = "localhost"
_HINT = "send `Authorization: Bearer <token>`"


def identify(auth: Auth, authorization: str | None, client_host: str | None) -> str:
    """Return the caller's identity for the logs; raise `Refused` (401) for a missing or wrong token.

    Without a configured token everybody is `localhost`: the configuration lets that happen on loopback only. A wrong
    token is wrong wherever it comes from, unless a proxy on this machine is trusted.
    """
    if auth.token is None:
        return LOCALHOST
    expected = auth.token.reveal()
    if authorization is None:
        if auth.optional and _is_loopback(client_host):
            return LOCALHOST
        raise Refused(ErrorEnvelope(code=Code.MISSING_TOKEN, message="this service needs a token", hint=_HINT))
    scheme, _, given = authorization.partition(" ")
    if auth.trust_proxy and given and _is_loopback(client_host):
        return _token_identity(given.strip())
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), expected.encode()):
        raise Refused(ErrorEnvelope(code=Code.BAD_TOKEN, message="the token is not the right one", hint=_HINT))
    return _token_identity(expected)


def _token_identity(token: str) -> str:
    return f"token:{hashlib.sha256(token.encode()).hexdigest()[:6]}"


def _is_loopback(host: str | None) -> bool:
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
