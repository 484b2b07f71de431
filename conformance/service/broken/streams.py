"""Broken in what they stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from conformance.service.zoo import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.service.zoo_wire import Answer, Send, Task

_FIRST_TOKEN = 2
"""The id of the first token's frame."""


class MetricsBeforeStarted(Service):
    """The stream begins with numbers."""

    def begin(self, task: Task, place: Mapping[str, object]) -> None:
        self.emit(task, "metrics", {"queue_depth": 0})
        super().begin(task, place)


class TellsTooMuch(Service):
    """An `error` frame has a field for developers."""

    def fail(self, task: Task) -> None:
        task.is_over = True
        data = {"code": "DEADLINE_UNMET", "message": "late", "retriable": False, "traceback": "line 1"}
        self.emit(task, "error", data)


class TwoLines(Service):
    """The data of `end` is indented, over several lines."""

    def frame(self, id: int, event: str, data: Mapping[str, object]) -> bytes:
        if event != "end":
            return super().frame(id, event, data)
        text = msgspec.json.format(msgspec.json.encode(data)).decode().replace("\n", "\ndata: ")
        return f"id: {id}\nevent: {event}\ndata: {text}\n\n".encode()


class SkipsAnId(Service):
    """The fifth frame has the id 6, and so on."""

    def frame(self, id: int, event: str, data: Mapping[str, object]) -> bytes:
        return super().frame(id + (id > 4), event, data)


class CountsFromOne(Service):
    """The first token has the index 1."""

    def frame(self, id: int, event: str, data: Mapping[str, object]) -> bytes:
        return super().frame(id, event, {**data, "i": int(str(data["i"])) + 1} if event == "token" else data)


class EndsTwice(Service):
    """A task that is over tells it once more."""

    def finish(self, task: Task) -> None:
        is_first = not task.is_over
        super().finish(task)
        if is_first:
            self.emit(task, *_last(task))


class EndsSilently(Service):
    """The body ends without a terminal frame when a deadline has passed."""

    def fail(self, task: Task) -> None:
        task.is_over = True
        task.changed.set()


class StaysOpen(Service):
    """The body stays open for a while after the end."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        await super().write(task, after, send)
        await trio.sleep(3)


class MayBeCached(Service):
    """A stream may be cached."""

    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name, value in super().stream_headers() if name != "Cache-Control")


class FailsAtAdmission(Service):
    """A stream fails with a code that belongs before it."""

    def fail(self, task: Task) -> None:
        task.is_over = True
        self.emit(task, "error", {"code": "ADMISSION_REJECT", "message": "late", "retriable": True})


class TellsItsReaders(Service):
    """`started` is made for each reader."""

    readers = 0

    async def write(self, task: Task, after: int, send: Send) -> None:
        self.readers += 1
        first = {"queue_position": self.readers, "predicted_start_ms": 0}
        task.frames[0] = ("started", self.frame(1, "started", first))
        await super().write(task, after, send)


class OneReaderEach(Service):
    """Tokens go to the reader that came last."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        number = task.readers

        async def send_to_the_last(frame: bytes) -> None:
            if number >= task.readers or b"event: token" not in frame:
                await send(frame)

        await super().write(task, after, send_to_the_last)


class GivesItAgain(Service):
    """The frame with the last id is given once more."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        await super().write(task, after - (after > 1), send)


class ForgetsWhileItRuns(Service):
    """A reader that joins a running task gets what comes from then on."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        await super().write(task, after if task.is_over or not after else len(task.frames), send)


class NoWindow(Service):
    """The resume window is not kept."""

    async def left(self, task: Task) -> None:
        await trio.lowlevel.checkpoint()
        self.cancel(task)


class TakesAnyLastEventId(Service):
    """A Last-Event-ID that is no id is ignored."""

    def open_stream(self, task: Task, after: str) -> Answer:
        return super().open_stream(task, after if after.isdigit() else "0")


class NoDeadline(Service):
    """A deadline holds for the wait only."""

    async def decode(self, task: Task) -> None:
        task.scope.deadline = trio.current_time() + 1e6
        task.deadline_at = task.scope.deadline
        await super().decode(task)


class EndsAtTheDeadline(Service):
    """A deadline that passes is a good end."""

    def fail(self, task: Task) -> None:
        self.end(task, {"finish_reason": "length"})


class ForgetsTheSeed(Service):
    """Every task draws a seed of its own."""

    def word(self, task: Task, index: int) -> str:
        return super().word(task, index) if "seed" not in task.body else f" {len(self.tasks)}-{index}"


class GathersItAll(Service):
    """The frames of a task leave together when it is over."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        await send(b": opened\n\n")
        while not task.is_over:
            await task.changed.wait()
        await super().write(task, after, send)


class GathersTheRest(Service):
    """The first token is written at once, and what follows when the task is over."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        while len(task.frames) < _FIRST_TOKEN:
            await task.changed.wait()
        for _, frame in task.frames[after:_FIRST_TOKEN]:
            await send(frame)
        while not task.is_over:
            await task.changed.wait()
        await super().write(task, max(after, _FIRST_TOKEN), send)


def _last(task: Task) -> tuple[str, dict[str, object]]:
    event, frame = task.frames[-1]
    return event, msgspec.json.decode(frame.partition(b"data: ")[2], type=dict[str, object])
