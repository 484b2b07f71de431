"""What stays the same while one engine process lives: asked once, remembered, and asked anew after a doubt.

Implements: ADAPT-3003, ADAPT-3012.
"""

from __future__ import annotations

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
        self._asking: trio.Event | None = None
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

        Many callers at once make one call. Cancelled leaves nothing behind.
        """
        if self._is_doubtful and self._asking is not None:
            await self._asking.wait()
        elif self._is_doubtful:
            self._asking = trio.Event()
            try:
                await self.learn()
            except WorkerError:
                pass  # an engine that is away says so again, and better, to the call that needs it
            finally:
                self._asking.set()
                self._asking = None
        return self.value

    def doubt(self) -> None:
        """Take it that another process may answer from now on; what runs already began on the one that is known."""
        self._doubts += 1
        self._is_doubtful = True
