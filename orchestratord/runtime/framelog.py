"""The encoded frames of one task: one writer, any number of readers, none of which can lose a frame or hold up another.

Every frame is encoded once and kept whole until the task is forgotten, so a reader may come late or come back. The
writer waits in `wait_room` while the slowest attached reader is `ahead` frames behind: a slow client slows the engine
down. A cancel seals the log: what a reader has not taken by then it never sees, it goes on at the terminal frame, after
the opening one if it has not had it, for every stream begins with that.

Implements: SSE-1002, SSE-1004, OC-CTRL-2026, OC-CTRL-2012.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_BYTES = 65_536
"""At most this much leaves in one write: a client that reads at all takes it well within the stall bound."""


class LogFull(Exception):
    """One task has produced more bytes than a task may."""


@final
class FrameLog:
    """An append-only list of frames; frame number n (from 1) has the SSE id n."""

    __slots__ = ("_arrival", "_change", "_readers", "ahead", "frames", "is_closed", "max_bytes", "sealed_at", "size")

    def __init__(self, *, ahead: int, max_bytes: int) -> None:
        self.frames: list[bytes] = []
        self.ahead = ahead
        self.max_bytes = max_bytes
        self.size = 0
        self.is_closed = False
        self.sealed_at = 0
        self._readers: dict[Reader, None] = {}
        self._arrival: trio.Event | None = None
        self._change: trio.Event | None = None

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<FrameLog {state} frames={len(self.frames)} bytes={self.size} readers={len(self._readers)}>"

    @property
    def next_id(self) -> int:
        """The id of the frame that comes next."""
        return len(self.frames) + 1

    @property
    def lag(self) -> int:
        """How many frames the slowest attached reader is behind; 0 with no reader."""
        return len(self.frames) - min((reader.position for reader in self._readers), default=len(self.frames))

    @property
    def reader_count(self) -> int:
        """How many readers are attached."""
        return len(self._readers)

    def append(self, frame: bytes) -> None:
        """Add a frame; raise `LogFull` beyond the byte bound."""
        if self.size + len(frame) > self.max_bytes:
            raise LogFull(f"more than {self.max_bytes} bytes of frames")
        self._add(frame)

    def close(self, *last: bytes) -> None:
        """Add the last frames, the terminal one at their end; the byte bound does not count for them."""
        self.is_closed = True
        for frame in last:
            self._add(frame)

    def close_canceled(self, *last: bytes) -> None:
        """Add the last frames and let every reader skip to them: what was not taken yet is dropped."""
        self.sealed_at = len(self.frames)
        self.close(*last)
        self.changed()

    async def wait_room(self) -> None:
        """Wait until no attached reader is more than `ahead` frames behind. Cancelled leaves the log as it is."""
        while self.lag >= self.ahead and not self.is_closed:
            await self._wait_change()

    async def wait_written(self, bound_s: float) -> None:
        """Wait until no reader is inside a write; cut off the ones that still are after `bound_s` seconds."""
        with trio.move_on_after(bound_s):
            while any(reader.is_writing for reader in self._readers):
                await self._wait_change()
        for reader in list(self._readers):
            if reader.is_writing:
                reader.cut_off()

    def attach(self, after: int, cut_off: Callable[[], None]) -> Reader:
        """Return a reader of the frames after id `after`; `cut_off` closes its connection without waiting."""
        reader = Reader(self, min(after, len(self.frames)), cut_off)
        self._readers[reader] = None
        return reader

    def detach(self, reader: Reader) -> None:
        """Forget a reader; `Reader.detach` calls this."""
        self._readers.pop(reader, None)
        self.changed()

    def _add(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.size += len(frame)
        if self._arrival is not None:
            self._arrival.set()
            self._arrival = None

    async def wait_arrival(self) -> None:
        """Wait until a frame is added."""
        if self._arrival is None:
            self._arrival = trio.Event()
        await self._arrival.wait()

    async def _wait_change(self) -> None:
        if self._change is None:
            self._change = trio.Event()
        await self._change.wait()

    def changed(self) -> None:
        """Wake whoever waits for a reader to move."""
        if self._change is not None:
            self._change.set()
            self._change = None


@final
class Reader:
    """One client's place in a log.

    `next_batch` joins all frames that wait into one write. Between its return and the next call the batch counts as
    being written.
    """

    __slots__ = ("_log", "cut_off", "is_writing", "position")

    def __init__(self, log: FrameLog, position: int, cut_off: Callable[[], None]) -> None:
        self._log = log
        self.position = position
        self.cut_off = cut_off
        self.is_writing = False

    async def next_batch(self) -> bytes | None:
        """Wait for frames and return all that wait, at most `BATCH_BYTES` beyond the first; None after the last."""
        self.written()
        while self.position == len(self._log.frames):
            if self._log.is_closed:
                return None
            await self._log.wait_arrival()
        self.is_writing = True
        return self._take()

    def written(self) -> None:
        """Note that the last batch has left."""
        self.is_writing = False
        self._log.changed()

    def detach(self) -> None:
        """Leave; the writer no longer waits for this reader."""
        self.is_writing = False
        self._log.detach(self)

    def _take(self) -> bytes:
        if self.position < self._log.sealed_at:
            return self._skip()
        frames = self._log.frames
        first = self.position
        last = len(frames)
        if last - first == 1:  # the usual case of a paced stream
            self.position = last
            return frames[first]
        size = 0
        end = first
        while end < last and (size := size + len(frames[end])) <= BATCH_BYTES:
            end += 1
        self.position = max(end, first + 1)
        return b"".join(frames[first : self.position])

    def _skip(self) -> bytes:
        log = self._log
        opening = b"" if self.position else log.frames[0]
        self.position = len(log.frames)
        return opening + b"".join(log.frames[log.sealed_at :])
