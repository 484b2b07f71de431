"""The body of an SSE response: a reader of a task's frame log, and nothing of the engine.

Leaving the body, for whatever reason, detaches the reader in synchronous code; a client that is gone arrives here as
Cancelled. While nothing happens, heartbeat comments go out if they are configured.

Implements: OC-CTRL-2020, SSE-1001, SSE-1003, SSE-1004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio
from quart.wrappers.response import ResponseBody

from http_util.sse import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from orchestratord.runtime.dispatcher import Dispatcher
    from orchestratord.runtime.framelog import Reader
    from orchestratord.runtime.task import Task


@final
class SseBody(ResponseBody):
    """Give the frames of `task` after id `after`, as many at a time as wait."""

    def __init__(
        self, dispatcher: Dispatcher, task: Task, *, after: int, cut_off: Callable[[], None], heartbeat_ms: int,
        window_ms: int,
    ) -> None:  # fmt: skip
        self._dispatcher = dispatcher
        self._task = task
        self._after = after
        self._cut_off = cut_off
        self._heartbeat_s = heartbeat_ms / 1000
        self._window_s = window_ms / 1000
        self._reader: Reader | None = None

    async def __aenter__(self) -> SseBody:
        self._reader = self._dispatcher.attach(self._task, self._after, self._cut_off)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._dispatcher.detach(self._task, self._reader)

    def __aiter__(self) -> SseBody:
        return self

    async def __anext__(self) -> bytes:
        assert self._reader is not None
        if self._window_s:
            await self._gather()
        if not self._heartbeat_s:
            return _or_stop(await self._reader.next_batch())
        with trio.move_on_after(self._heartbeat_s):
            return _or_stop(await self._reader.next_batch())
        return HEARTBEAT

    async def _gather(self) -> None:
        """Let frames gather for the micro-batch window; a log that is closed is not waited for."""
        assert self._reader is not None
        self._reader.written()
        if not self._task.log.is_closed:
            await trio.sleep(self._window_s)


def _or_stop(batch: bytes | None) -> bytes:
    if batch is None:
        raise StopAsyncIteration
    return batch
