"""Scripts on a path that is no generation: plain HTTP with an engine's error object, for any engine.

`Text` is body text as it stands; the rest means what it means everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec
import trio

if TYPE_CHECKING:
    from .play import Wire
    from .script import Die, Fail, Text, Usage


@final
class PlainStage:
    """Answer with JSON, or with an error object of the common form."""

    def __init__(self, exchange: Wire, content_type: str = "application/json") -> None:
        self._exchange = exchange
        self._content_type = content_type

    async def accept(self) -> None:
        await self._exchange.start(200, self._content_type)

    async def text(self, step: Text) -> None:
        await self._exchange.send(step.text.encode())

    async def ping(self) -> None:
        await self._exchange.send(b"\n")

    async def fail(self, step: Fail) -> None:
        error = {"error": {"code": step.status, "message": step.message, "type": step.type}}
        await self._exchange.answer(step.status, msgspec.json.encode(error), self._content_type)

    async def overload(self) -> None:
        await trio.sleep_forever()

    async def load_model(self, seconds: float) -> None:
        raise ValueError("load the model through a script of the engine, not of a path")

    def die(self, step: Die) -> None:
        raise ValueError("let the engine die through its own script or `die()`, not a path's")

    def count(self, usage: Usage) -> None:
        raise ValueError("a path that is no generation counts no tokens")

    async def finish(self, reason: str) -> None:
        await self._exchange.end()

    async def make_up(self) -> None:
        await self._exchange.answer(200, b"{}", self._content_type)
