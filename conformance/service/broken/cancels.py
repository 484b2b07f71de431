"""Broken in how they end a task, and in whom they let wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from conformance.service.zoo import PACE_S, Service
from conformance.service.zoo_wire import Answer, Asked, Task, Wire, json_answer

if TYPE_CHECKING:
    from conformance.service.zoo_wire import Send
    from specs import Specification


class OneTokenMore(Service):
    """The token that is being made when a cancel comes is still given."""

    def cancel(self, task: Task) -> None:
        if task.is_over or not task.tokens:
            super().cancel(task)
        elif not task.is_canceled:
            task.is_canceled = True
            task.scope.cancel()
            self.nursery.start_soon(self._late, task)

    async def _late(self, task: Task) -> None:
        await trio.sleep(PACE_S)
        self.token(task, task.tokens)
        self.end(task, {"finish_reason": "canceled", "canceled": True})

    def finish(self, task: Task) -> None:
        if not task.is_canceled:
            super().finish(task)

    async def write(self, task: Task, after: int, send: Send) -> None:
        sent = after
        while not task.is_over or sent < len(task.frames):
            if sent < len(task.frames):
                await send(task.frames[sent][1])
                sent += 1
            else:
                await task.changed.wait()


class CancelIsAnError(Service):
    """A cancelled task fails."""

    def cancel(self, task: Task) -> None:
        if not task.is_over:
            task.is_canceled = task.is_over = True
            self.emit(task, "error", {"code": "INTERNAL", "message": "cancelled", "retriable": False})
            task.scope.cancel()


class CancelsWhatIsReadOnly(Service):
    """A cancel of a task that nobody reads is acknowledged and forgotten."""

    def cancel(self, task: Task) -> None:
        if task.readers:
            super().cancel(task)


class SecondEnd(Service):
    """A late cancel adds an end to a stream that has one."""

    def cancel(self, task: Task) -> None:
        if task.is_over and not task.is_canceled:
            self.end(task, {"canceled": True})
        super().cancel(task)


class Deletes(Service):
    """DELETE takes a task that is over away."""

    def about_task(self, asked: Asked, id: str) -> Answer:
        if asked.method == "DELETE" and id in self.tasks and self.tasks[id].is_over:
            return self.not_found("no such task")
        return super().about_task(asked, id)


class BodyInA204(Service):
    """A cancel is acknowledged with 200 and a word."""

    def about_task(self, asked: Asked, id: str) -> Answer:
        got = super().about_task(asked, id)
        return json_answer({"ok": True}) if got.status == 204 and asked.method == "POST" else got


class _SlowWire(Wire):
    async def _hear(self, stream: trio.abc.Stream, http: object) -> tuple[Asked, Answer | None]:
        asked, answer = await super()._hear(stream, http)  # type: ignore[arg-type]
        if asked.path.endswith("/cancel"):
            await trio.sleep(1.5)
        return asked, answer


class WaitsForTheEngine(Service):
    """The acknowledgement of a cancel waits for an engine that is slow."""

    def __init__(self, nursery: trio.Nursery, spec: Specification, secret: str = "", window_s: float = 0.0) -> None:
        super().__init__(nursery, spec, secret, window_s)
        self.wire = _SlowWire(self)


class RunsOn(Service):
    """A task runs on when its reader has left."""

    async def left(self, task: Task) -> None:
        await trio.lowlevel.checkpoint()


class OpensLate(Service):
    """The stream begins when the task does."""

    async def write(self, task: Task, after: int, send: Send) -> None:
        while not task.is_running and not task.is_over:
            await task.changed.wait()
        await super().write(task, after, send)


class AdmitsTheHopeless(Service):
    """A deadline is not compared with the wait."""

    def predict(self) -> int:
        return 0

    def seat(self, body: dict[str, object], asked: Asked) -> Answer:
        got = super().seat(body, asked)
        return json_answer({**_read(got), "predicted_start_ms": super().predict()}, got.status)


def _read(answer: Answer) -> dict[str, object]:
    return msgspec.json.decode(answer.body, type=dict[str, object])
