"""One stream, read as a consumer reads it, under the rules that hold for every stream.

Each event is judged when it comes: its place by the order table, its payload by the schema. After the last one the kit
goes on listening. What breaks a rule is a finding, and the reading goes on as far as it can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import trio

from adapter_api import End, Failed, TaskRequest, WorkerError

from .attribution import told_of
from .findings import Finding, Stop
from .oracle import OrderOracle
from .times import QUIET_S
from .transcript import RAISED, Frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from adapter_api import TokenEvent, WorkerAdapter

    from .lab import Lab
    from .transcript import Entry


def escaped(error: Exception, owner: str = "ERR-05") -> Finding:
    """Return the finding about an error that may not leave an adapter; `owner` has it unless it is a group."""
    if isinstance(error, ExceptionGroup):
        return Finding("ERR-08", "one WorkerError, whatever failed along with it", f"{error!r} escaped")
    return Finding(owner, "WorkerError or Cancelled and nothing else", told_of(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the consumer behaves: leave after so many frames, pause after so many, do something at each frame."""

    leave_after: int | None = None
    pause_after: int | None = None
    at_frame: Callable[[Frame], Awaitable[None]] | None = None


@final
class Reading:
    """A consumer of one stream; `scope` is the consumer's own, `over` is set when it has left the stream."""

    def __init__(self, lab: Lab, adapter: WorkerAdapter, request: TaskRequest, plan: Plan | None) -> None:
        self.request = request
        self.who = request.task_id
        self.frames: list[Frame] = []
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.go_on = trio.Event()
        self.left: Entry | None = None
        self.is_entered = False
        self._lab = lab
        self._adapter = adapter
        self._plan = plan or Plan()
        self._order = OrderOracle(lab.spec.frame_order("adapter"))
        self.abandoned: Entry | None = None
        self.survived: list[Entry] = []

    @property
    def tokens(self) -> list[Frame]:
        """The token frames."""
        return [frame for frame in self.frames if frame.kind == "token"]

    @property
    def text(self) -> str:
        """All text, joined."""
        return "".join(str(frame.data.get("t")) for frame in self.tokens)

    @property
    def last(self) -> Frame | None:
        """The last frame, if there is one."""
        return self.frames[-1] if self.frames else None

    @property
    def end(self) -> End | None:
        """The end, if the stream ended well."""
        event = self.last.event if self.last else None
        return event if isinstance(event, End) else None

    @property
    def error(self) -> WorkerError | None:
        """The failure, if the stream failed."""
        event = self.last.event if self.last else None
        return event.error if isinstance(event, Failed) else None

    def abandon(self) -> Entry:
        """Cancel the consumer's own scope; `survived` then holds what the adapter still returned to it."""
        self.abandoned = self._lab.transcript.note(self.who, "the consumer's scope was cancelled")
        self.scope.cancel()
        return self.abandoned

    async def run(self) -> None:
        """Submit, read, leave."""
        self._lab.readers.append(trio.lowlevel.current_task())
        self._lab.open_streams += 1
        with self.scope:
            try:
                await self._visit()
            finally:
                self._lab.open_streams -= 1
                self.left = self._lab.transcript.note(self.who, "the block was left")
                self.over.set()

    async def _visit(self) -> None:
        self._lab.transcript.note(self.who, "submit() called")
        try:
            async with self._adapter.submit(self.request) as events:
                self.is_entered = True
                await self._read(events)
        except Stop:
            raise
        except WorkerError as error:
            self._take_error(error)
        except Exception as error:  # noqa: BLE001 - whatever a foreign adapter throws is a finding
            self._take_foreign(error, "entering or leaving the stream")
        except BaseExceptionGroup as group:
            raise self._take_group(group) from None

    async def _read(self, events: AsyncIterator[TokenEvent]) -> None:
        self._lab.sinks.append(("repr(stream)", repr(events)))
        while (frame := await self._receive(events)) is not None:
            if self._plan.at_frame is not None:
                await self._plan.at_frame(frame)
            if len(self.frames) == self._plan.leave_after:
                return
            if len(self.frames) == self._plan.pause_after:
                await self.go_on.wait()
            if self._order.is_over:
                await self._listen_on(events)
                return

    async def _receive(self, events: AsyncIterator[TokenEvent]) -> Frame | None:
        try:
            event = await anext(events)
        except StopAsyncIteration:
            entry = self._lab.transcript.note(self.who, "the stream ended")
            self._lab.find_all(self._order.at_end(), entry)
            self._survive(entry)
            return None
        except WorkerError as error:
            return self._take_error(error)
        except Exception as error:  # noqa: BLE001 - whatever a foreign adapter throws is a finding
            self._take_foreign(error, "the next event")
            return None
        except BaseExceptionGroup as group:
            raise self._take_group(group) from None
        return self._take(event)

    async def _listen_on(self, events: AsyncIterator[TokenEvent]) -> None:
        """After the last event: the stream must say that it is over, and say nothing else."""
        with trio.move_on_after(QUIET_S):
            try:
                event = await anext(events)
            except StopAsyncIteration:
                return
            except WorkerError as error:
                self._take_error(error)
            except Exception as error:  # noqa: BLE001 - whatever a foreign adapter throws is a finding
                self._take_foreign(error, "the event after the last")
            else:
                self._take(event)
            return
        entry = self._lab.transcript.note(self.who, f"silent for {QUIET_S:g} s, and not at its end")
        self._lab.find(Finding("LIF-04", "the stream to stop after its terminal event", "the next read hangs"), entry)

    def _take(self, event: TokenEvent) -> Frame:
        kind, data = str(getattr(event, "kind", type(event).__name__)), getattr(event, "data", None)
        fields = data if isinstance(data, dict) else {"data": data}
        frame = self._lab.transcript.frame(self.who, kind, fields, event, "event")
        if kind != "token":
            self._lab.tell(f"`{kind}` event", f"{fields} {event!r}")
        if isinstance(event, Failed):
            self._lab.hear(event.error)
        return self._judge(frame)

    def _take_error(self, error: WorkerError) -> Frame:
        self._lab.hear(error)
        event = Failed(error)
        self._lab.tell("message of an error", error.message)
        return self._judge(self._lab.transcript.frame(self.who, event.kind, event.data, event, RAISED))

    def _judge(self, frame: Frame) -> Frame:
        self.frames.append(frame)
        self._lab.find_all(self._order.accept(frame.kind, frame.data), frame)
        self._lab.find_all(self._lab.schemas.check(frame.kind, frame.data), frame)
        if isinstance(frame.event, Failed):
            self._lab.find_all(self._lab.errors.check(frame.event.error), frame)
        self._survive(frame)
        return frame

    def _take_foreign(self, error: Exception, where: str) -> None:
        found = escaped(error)  # while it has its traceback
        self._lab.hear(error)
        entry = self._lab.transcript.note(self.who, f"{where} raised {error!r}")
        self._lab.find(found, entry)
        self._survive(entry)

    def _take_group(self, group: BaseExceptionGroup[BaseException]) -> BaseExceptionGroup[BaseException]:
        """Return what has to go on; errors that came along with a cancellation end here."""
        canceled, others = group.split(trio.Cancelled)
        if others is None or canceled is None:
            return group
        self._lab.hear(others)
        entry = self._lab.transcript.note(self.who, f"raised {others!r} along with Cancelled")
        self._lab.find(Finding("ERR-08", "Cancelled and nothing else", f"{others!r} escaped with it"), entry)
        return canceled

    def _survive(self, entry: Entry) -> None:
        """Note that the adapter returned to a consumer who had been cancelled."""
        if self.abandoned is not None:
            self.survived.append(entry)
