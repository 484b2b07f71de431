"""One stream as a client reads it: it is read on all the time, and judged frame by frame.

The reading goes on in a task of its own, so that the time of a frame is that of its arrival, whatever the check does
meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from .check import ENDED
from .client import WireFault
from .sse import SseReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Connection
    from .judges import StreamJudge
    from .sse import Frame
    from .visit import Visit

_AFTER_THE_END_S = 1.0
"""How long the body may stay open after the terminal frame."""


@final
class OverTooSoon(Exception):
    """An answer that was to be long was over; the text says before what. The next one may be longer."""


@final
class Reading:
    """The frames so far; `fault` says how the connection failed, `is_ended` whether the body has ended."""

    def __init__(self, connection: Connection, judge: StreamJudge, visit: Visit) -> None:
        self.frames: list[Frame] = []
        self.fault: str | None = None
        self.is_ended = False
        self._connection = connection
        self._judge = judge
        self._visit = visit
        self._reader = SseReader()
        self._changed = trio.Event()

    @property
    def tokens(self) -> list[Frame]:
        """The token frames."""
        return [frame for frame in self.frames if frame.event == "token"]

    @property
    def last(self) -> Frame | None:
        """The last frame."""
        return self.frames[-1] if self.frames else None

    @property
    def kinds(self) -> str:
        """The kinds of the frames, for people."""
        return " ".join(frame.event for frame in self.frames[-12:]) or "nothing"

    @property
    def is_canceled(self) -> bool:
        """Whether it ended as a cancelled task does."""
        return self.last is not None and self.last.event == "end" and self.last.data.get("canceled") is True

    async def pump(self) -> None:
        """Read to the end of the body."""
        try:
            while (piece := await self._next()) is not None:
                self._take(piece)
            self._visit.take(self._judge.at_end(self._reader.rest))
        except WireFault as fault:
            self.fault = str(fault)
            self._visit.note("stream", str(fault))
        except trio.ClosedResourceError:
            self.fault = "left"
        finally:
            self.is_ended = True
            self._tell()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds; the play ends with a finding if that does not come in time."""
        with trio.move_on_after(self._visit.target.patience_s):
            while not holds() and not self.is_ended:
                await self._changed.wait()
        self._visit.require(holds(), what, f"{self.kinds}{f'; {self.fault}' if self.fault else ''}")

    async def begun(self, tokens: int = 1) -> None:
        """Wait for `started` and so many tokens, without which there is nothing to try."""
        with trio.move_on_after(self._visit.target.patience_s):
            while not self._has(tokens) and not self.is_ended:
                await self._changed.wait()
        if not self._has(tokens) and self.last is not None and self.last.event == "end":
            raise OverTooSoon(f"before it has {tokens} tokens")
        why = f"a long task has no {tokens} tokens but `{self.kinds}`{f', {self.fault}' if self.fault else ''}"
        self._visit.need(self._has(tokens), ENDED, why)

    def _has(self, tokens: int) -> bool:
        return bool(self.frames) and len(self.tokens) >= tokens

    async def first(self, event: str) -> Frame:
        """Wait for the first frame of that kind."""
        await self.until(lambda: any(frame.event == event for frame in self.frames), f"a `{event}` frame")
        return next(frame for frame in self.frames if frame.event == event)

    async def goes_on_to_its_end(self) -> bool:
        """Wait for the end of the body, as long as frames come; return whether it came."""
        while not self.is_ended:
            with trio.move_on_after(self._visit.target.patience_s) as scope:
                await self._changed.wait()
            if scope.cancelled_caught:
                return False
        return self.fault is None

    async def over(self) -> None:
        """Wait for the end of the body, which has to come while frames do."""
        while not self.is_ended:
            seen = len(self.frames)
            await self.until(lambda seen=seen: self.is_ended or len(self.frames) > seen, "the next frame or the end")  # type: ignore[misc]
        self._visit.require(self.fault is None, "the end of the body", self.fault)

    async def _next(self) -> bytes | None:
        if not self._judge.is_over:
            return await self._connection.piece()
        with trio.move_on_after(_AFTER_THE_END_S) as scope:
            return await self._connection.piece()
        if scope.cancelled_caught:
            expected = "the end of the body after the terminal frame"
            self._visit.expect(False, expected, f"open {_AFTER_THE_END_S:g} s later", by=ENDED)
        return None

    def _take(self, piece: bytes) -> None:
        for frame in self._reader.feed(piece, trio.current_time()):
            self.frames.append(frame)
            self._visit.note("stream", f"{frame.id} {frame.event} {frame.text}")
            self._visit.take(self._judge.accept(frame))
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
