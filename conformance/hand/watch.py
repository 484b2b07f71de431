"""What a double for hand use prints: each request as it arrives and how it ended, in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.engines.http1 import Exchange, SeenRequest

_SHOWN = ("model", "stream", "max_tokens", "n_predict", "max_completion_tokens", "max_output_tokens", "seed")


@final
class Watch:
    """Lines for `write`: seconds since the start, the request's number, what happened to it.

    Only the requests that `wants` picks are told of.
    """

    def __init__(
        self, write: Callable[[str], None], wants: Callable[[SeenRequest], bool], *, shows_bodies: bool
    ) -> None:
        self._write = write
        self._wants = wants
        self._shows_bodies = shows_bodies
        self._began_at = trio.current_time()

    def arrived(self, number: int, request: SeenRequest) -> None:
        """Tell of a request."""
        if not self._wants(request):
            return
        query = f"?{request.query}" if request.query else ""
        self._say(number, f"{request.method} {request.path}{query}{_told_of(request.body)}")
        if self._shows_bodies and request.body:
            self._say(number, request.body.decode("utf-8", "replace"))

    def over(self, number: int, exchange: Exchange) -> None:
        """Tell how a request ended."""
        if self._wants(exchange.request):
            seconds = trio.current_time() - exchange.request.at
            self._say(number, f"{_ending(exchange)} after {seconds:.3f} s")

    def _say(self, number: int, words: str) -> None:
        self._write(f"{trio.current_time() - self._began_at:9.3f} s  #{number}  {words}\n")


def _ending(exchange: Exchange) -> str:
    if exchange.gone.is_set() and not exchange.is_complete:
        return "the client left"
    if exchange.status is None:
        return "no answer"
    return f"{exchange.status}{'' if exchange.is_complete else ', cut off'}"


def _told_of(body: bytes) -> str:
    """Return the few fields of a JSON body that say what is asked, never its text."""
    try:
        given = msgspec.json.decode(body) if body else {}
    except ValueError:
        return f"  ({len(body)} bytes, no JSON)"
    if not isinstance(given, dict):
        return f"  ({len(body)} bytes)"
    return "".join(f"  {name}={given[name]}" for name in _SHOWN if given.get(name) is not None)
