"""What every double offers, whatever its engine: an address, a script, and what it saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import trio

    from .http1 import SeenRequest
    from .received import Received
    from .script import Script


@dataclass(slots=True)
class Facts:
    """What happened to a double.

    `submitted` counts the requests for work that ever arrived, `received` are those in neutral words, None for a double
    that has none for its engine's. `live` counts
    those that the engine is working on or keeps waiting at this moment, `connections` the open connections. `gone`
    holds (time on Trio's clock, index in `requests`) of each client that left before its answer was complete.
    """

    requests: list[SeenRequest] = field(default_factory=list)
    submitted: int = 0
    live: int = 0
    connections: int = 0
    gone: list[tuple[float, int]] = field(default_factory=list)
    received: list[Received] | None = None


class EngineDouble(Protocol):
    """One engine, played."""

    @property
    def url(self) -> str:
        """The base URL that `dial` answers to."""

    @property
    def facts(self) -> Facts:
        """What it saw so far; the same object for as long as the double lives."""

    def load(self, *scripts: Script, path: str | None = None) -> None:
        """Play these scripts from now on: the n-th generation request gets the n-th, all further ones the last.

        With `path`, every request to that path gets them instead, before anything else is looked at; no scripts takes
        them away again.
        """

    def stop(self) -> None:
        """End the engine's process: reset every connection and refuse new ones, until `start`."""

    def start(self, *, loading_s: float = 0.0) -> None:
        """Begin it again; it loads for `loading_s` first."""

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Open a connection in memory; raises `OSError` where a real one would."""

    async def serve_tcp(self, port: int = 0) -> str:
        """Listen on 127.0.0.1 as well and return the URL."""
