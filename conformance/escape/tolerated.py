"""Steps outside that are let be, each with its reason.

A row is about a module and all below it. It is looked for on the way from the step outwards, through Python's own
library, up to the first code that is anybody's: `logging` that reads the clock is let be, an adapter that calls
`time.time` is not, nor one whose formatter of log records does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .doors import Way

EVERY = frozenset(Way)


@dataclass(frozen=True, slots=True)
class Tolerated:
    """A module whose steps of these ways are let be."""

    module: str
    ways: frozenset[Way]
    reason: str


TOLERATED: tuple[Tolerated, ...] = (
    Tolerated("trio", frozenset({Way.CLOCK}), "it is the clock; a mock clock asks how fast the real one runs: not"),
    Tolerated("trio._core._wakeup_socketpair", frozenset({Way.SOCKET}), "a run has one to wake itself by signals"),
    Tolerated("logging", frozenset({Way.CLOCK}), "a record is stamped; the stamp is in no event and no answer"),
    Tolerated("structlog", frozenset({Way.CLOCK}), "a record is stamped; the stamp is in no event and no answer"),
    Tolerated("prometheus_client", frozenset({Way.CLOCK}), "a metric says since when it counts, to scrapers only"),
    Tolerated("httpx._client", frozenset({Way.CLOCK}), "`Response.elapsed`, which decides nothing"),
    Tolerated("httpcore", frozenset({Way.CLOCK}), "drops connections idle for 5 real seconds; a case takes none"),
    Tolerated("httpx._auth", frozenset({Way.CLOCK, Way.RANDOM}), "a nonce of the scheme, which must not be foretold"),
    Tolerated("http.cookiejar", frozenset({Way.CLOCK}), "a jar looks for what is too old; engines put nothing in"),
    Tolerated("httpx._multipart", frozenset({Way.RANDOM}), "a boundary that must not occur in what it bounds"),
    Tolerated("wsproto", frozenset({Way.RANDOM}), "RFC 6455 5.3 asks for masks that cannot be foretold"),
    Tolerated("trio_websocket", frozenset({Way.RANDOM}), "the payload of a ping, which comes back as it is"),
    Tolerated("tempfile", frozenset({Way.RANDOM}), "a name for a file; the file itself is told of"),
    Tolerated("http_util.redaction", frozenset({Way.RANDOM}), "the key of fingerprints, which must not be foretold"),
    Tolerated("conformance", EVERY, "the kit itself: it has to bring its own runs to the same result twice"),
)
"""The rows; the more special one counts."""

JUDGED = ("conformance.zoo",)
"""Below a tolerated module, and not tolerated: the adapters of the zoo are judged as anybody's."""

LOADING = ("importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib")
"""What is done while a module is imported is done once for the process and belongs to no case."""


@cache
def is_tolerated(module: str, way: Way) -> bool:
    """Return whether a step of this way is let be in that module."""
    if any(is_within(module, judged) for judged in JUDGED):
        return False
    return any(way in row.ways and is_within(module, row.module) for row in TOLERATED)


def is_within(module: str, package: str) -> bool:
    """Return whether a module is that one or below it."""
    return module == package or module.startswith(f"{package}.")
