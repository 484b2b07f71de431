"""What stays the same while one engine process lives: asked once, remembered, and asked anew after a doubt.

Implements: ADAPT-3003, ADAPT-3012.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar, final

import trio

from adapter_api import WorkerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@final
class Remembered(Generic[T]):
    """Facts about the process behind an address; `ask` gets them and may raise `WorkerError`.

    `value` is what is known, None before the first answer and after a failed one.
    """

    __slots__ = ("_ask", "_asking", "_doubts", "_is_doubtful", "value")

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._asking: _Asking | None = None
        self._is_doubtful = True
        self._doubts = 0
        self.value: T | None = None

    def __repr__(self) -> str:
        return f"<Remembered {'doubtful' if self._is_doubtful else 'known'}>"

    async def learn(self) -> T:
        """Ask and remember; raise `WorkerError`, and then nothing is remembered.

        A doubt that comes while the answer is under way holds for the answer too.
        """
        doubts = self._doubts
        try:
            value = await self._ask()
        except WorkerError:
            self.value = None
            raise
        self.value, self._is_doubtful = value, self._doubts != doubts
        return value

    async def known(self) -> T | None:
        """Return the facts, asking if there is doubt about them; None if the engine does not tell.

        Many callers at once make one call; if the one that makes it is cancelled, the next of them takes its place.
        Cancelled leaves nothing behind.
        """
        while self._is_doubtful:
            if self._asking is None:
                await self._ask_for_all()
                break
            asking = self._asking
            await asking.over.wait()
            if asking.is_answered:
                break
        return self.value

    def doubt(self) -> None:
        """Take it that another process may answer from now on; what runs already began on the one that is known."""
        self._doubts += 1
        self._is_doubtful = True

    async def _ask_for_all(self) -> None:
        asking = self._asking = _Asking()
        try:
            with suppress(WorkerError):  # an engine that is away says so again, and better, to the call that needs it
                await self.learn()
            asking.is_answered = True
        finally:
            self._asking = None
            asking.over.set()


@final
class _Asking:
    """One call that many may wait for; it is not answered if its caller was cancelled."""

    __slots__ = ("is_answered", "over")

    def __init__(self) -> None:
        self.over = trio.Event()
        self.is_answered = False
