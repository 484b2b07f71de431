"""One open adapter on the bench: every call to it goes through here, is bounded, written down and heard.

Calls that break the contract (a foreign exception, no return in time) become findings here, so that a case reads as the
scene it plays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, final

import trio

from adapter_api import Capabilities, TaskId, TaskRequest, WorkerError, WorkerHealth, WorkerProps

from .findings import Finding, NotApplicable, Stop
from .reading import Reading, escaped
from .subject import SEED, Hearing
from .times import ACK_BOUND_S, STEP_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from .engines.received import Received
    from .lab import Lab
    from .reading import Plan
    from .subject import EngineFacts, Fault, Rig
    from .transcript import Entry

T = TypeVar("T")
REPORT_BOUND_S = 30.0
"""Longest time that health, props, capabilities or version may take; each adapter has a shorter bound of its own."""


@dataclass(frozen=True, slots=True)
class Ack:
    """A cancel: when it was called and when it returned."""

    called: Entry
    returned: Entry

    @property
    def took_s(self) -> float:
        """How long the call took."""
        return self.returned.at_s - self.called.at_s


@final
class Bench:
    """An open adapter and what can be done with it."""

    def __init__(self, lab: Lab, rig: Rig, readers: trio.Nursery) -> None:
        self.lab = lab
        self.rig = rig
        self._readers = readers
        self._requests = 0
        self._started: list[Reading] = []

    @property
    def facts(self) -> EngineFacts:
        """What the engine knows."""
        return self.rig.facts

    @property
    def received(self) -> Sequence[Received]:
        """The requests for work as they reached the engine; `NotApplicable` if it does not tell."""
        received = self.rig.facts.received if isinstance(self.rig.facts, Hearing) else None
        if received is None:
            raise NotApplicable("the engine's facts do not tell what reached it: see `received` of a double")
        return received

    def request(self, **fields: object) -> TaskRequest:
        """Return a request with an id of its own; `fields` override the plain ones."""
        self._requests += 1
        seed = None if SEED in self.lab.subject.limits else 1
        plain = TaskRequest(
            task_id=TaskId(f"task-{self._requests}"), prompt="Count to three.", max_tokens=64, seed=seed
        )
        asked = replace(plain, **fields)  # type: ignore[arg-type]  # the cases name fields of TaskRequest
        return self.lab.own.check_request(asked)

    def start(
        self, request: TaskRequest | None = None, plan: Plan | None = None, nursery: trio.Nursery | None = None
    ) -> Reading:
        """Submit and read in a task of its own."""
        if any(not other.over.is_set() for other in self._started):
            self.lab.need("parallel")
        reading = Reading(self.lab, self.rig.adapter, request or self.request(), plan)
        self._started.append(reading)
        (nursery or self._readers).start_soon(reading.run, name=f"reader of {reading.who}")
        return reading

    async def read(self, request: TaskRequest | None = None, plan: Plan | None = None) -> Reading:
        """Submit, read to the end and leave."""
        reading = self.start(request, plan)
        await reading.over.wait()
        return reading

    async def provoke(self, fault: Fault) -> Reading:
        """Submit into a failure and read to the end."""
        if fault.is_down:
            self.rig.stop()
            await trio.sleep(STEP_S)
        return await self.read(self.request(deadline_ms=fault.deadline_ms))

    def stop_reading(self) -> None:
        """Cancel every consumer that `start` has set going."""
        self._readers.cancel_scope.cancel()

    async def cancel(self, task_id: TaskId) -> Ack:
        """Cancel and note when it was acknowledged."""
        called = self.lab.transcript.note(task_id, "cancel() called")
        try:
            await self._call("cancel()", "CAN-10", ACK_BOUND_S, lambda: self.rig.adapter.cancel(task_id), "CAN-03")
        except WorkerError as error:
            self.lab.find(Finding("CAN-03", "cancel() to return without an error", f"it raised {error!r}"), called)
            raise Stop from error
        return Ack(called, self.lab.transcript.note(task_id, "cancel() returned"))

    async def health(self) -> WorkerHealth:
        """Ask for health, which may not raise."""
        try:
            return await self._asked("health()", self.rig.adapter.health, WorkerHealth)
        except WorkerError as error:
            self.lab.find(Finding("HPC-01", "a report, also of an engine in trouble", f"health() raised {error!r}"))
            raise Stop from error

    async def props(self) -> WorkerProps:
        """Ask for props."""
        return await self._asked("props()", self.rig.adapter.props, WorkerProps)

    async def capabilities(self) -> Capabilities:
        """Ask for capabilities."""
        return await self._asked("capabilities()", self.rig.adapter.capabilities, Capabilities)

    async def engine_version(self) -> str:
        """Ask for the engine's version."""
        return await self._asked("engine_version()", self.rig.adapter.engine_version, str)

    async def _asked(self, name: str, work: Callable[[], Awaitable[T]], kind: type[T]) -> T:
        """Ask for a report; one that is of another kind than it has to be is a finding and ends the case."""
        result = await self._call(name, "HPC-02", REPORT_BOUND_S, work)
        is_right = isinstance(result, kind)
        self.lab.require("HPC-02", is_right, f"{name} to return a {kind.__name__}", f"it returned {result!r}")
        return result

    async def _call(
        self, name: str, bound_id: str, bound_s: float, work: Callable[[], Awaitable[T]], raise_id: str = "ERR-05"
    ) -> T:
        """Make a call that returns in time or raises `WorkerError`; everything else is a finding and ends the case.

        Too late is a finding of the check `bound_id`, a foreign exception one of `raise_id`.
        """
        with trio.move_on_after(bound_s):
            try:
                result = await work()
            except WorkerError as error:
                self.lab.hear(error)
                entry = self.lab.transcript.note("adapter", f"{name} raised {error!r}")
                self.lab.find_all(self.lab.errors.check(error), entry)
                raise
            except Exception as error:
                found = escaped(error, raise_id)  # while it has its traceback
                self.lab.hear(error)
                self.lab.find(found, self.lab.transcript.note("adapter", f"{name} raised {error!r}"))
                raise Stop from error
            self.lab.tell(name, repr(result))
            if result is not None:
                self.lab.transcript.note("adapter", f"{name} returned {result!r}")
            return result
        self.lab.find(Finding(bound_id, f"{name} to return within {bound_s:g} s", "it had not returned by then"))
        raise Stop
