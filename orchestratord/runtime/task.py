"""One admitted task: what was asked, where it stands, its frames, and the scope that ends it.

Everything that changes a task's state is synchronous and goes through the methods here, so a state change, the terminal
frame and the cancel of the run happen in one stretch that no other task can see half done. That is why no token can
follow an acknowledged cancel: `cancel` closes the log before anybody is told.

Implements: OC-CTRL-2012, SSE-1002, SSE-1003, OC-CTRL-2027, OC-CTRL-2028.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import trio

from adapter_api import End, FinishReason
from orchestratord.core.frames import frame, token_frame
from orchestratord.core.task import FOLLOWING, CancelReason, TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue, PoolId, ReplicaId, TaskId, TaskRequest
    from adapter_host import Trial
    from orchestratord.core.placement import Placement
    from orchestratord.core.queue import Priority
    from orchestratord.errors import ErrorEnvelope

    from .framelog import FrameLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a client asked for, validated. `digest` tells the same body from another under the same id."""

    request: TaskRequest
    engine: str
    priority: Priority
    ctx: int
    deadline_ms: int
    placement: Placement
    digest: bytes
    identity: str = "localhost"


@dataclass(frozen=True, slots=True)
class Lease:
    """A slot of one replica, held since `since` on the run's clock, with the leave of the replica's breaker."""

    replica_id: ReplicaId
    since: float
    trial: Trial


@final
@dataclass(eq=False, slots=True, kw_only=True)
class Task:
    """The record of one task, from admission until it is forgotten. Times are seconds on the run's clock.

    `closed` is set when the engine's side of the connection is closed, or was never opened. `begun` says whether the
    engine was asked: a slot can be granted to a task that is stopped in the same moment. `is_let_go` says that
    the engine has failed it by its own word, so that its slot is free at once.
    """

    order: Order
    pool_id: PoolId
    log: FrameLog
    admitted_at: float
    facts: Mapping[str, JsonValue]
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    granted: trio.Event = field(default_factory=trio.Event)
    closed: trio.Event = field(default_factory=trio.Event)
    state: TaskState = TaskState.QUEUED
    lease: Lease | None = None
    admission: Mapping[str, JsonValue] = field(default_factory=dict)
    first_token_at: float | None = None
    ended_at: float | None = None
    tokens: int = 0
    end: End | None = None
    error: ErrorEnvelope | None = None
    cancel_reason: CancelReason | None = None
    has_started_frame: bool = False
    told_replica: ReplicaId | None = None
    narrates: bool = False
    narrated_at: float | None = None
    begun: bool = False
    is_let_go: bool = False

    def __post_init__(self) -> None:
        self.scope.deadline = self.deadline_at

    @property
    def task_id(self) -> TaskId:
        """The id the client gave."""
        return self.order.request.task_id

    @property
    def deadline_at(self) -> float:
        """When the client's patience ends; it runs from admission."""
        return self.admitted_at + self.order.deadline_ms / 1000

    def begin(self) -> bool:
        """Note that the run starts; False if the task was stopped before its turn came."""
        if TaskState.RUNNING not in FOLLOWING[self.state]:
            return False
        self.state = TaskState.RUNNING
        self.begun = True
        return True

    def publish_started(self, queue_position: int, predicted_start_ms: int) -> None:
        """Write the `started` frame unless it is out."""
        if self.has_started_frame:
            return
        self.has_started_frame = True
        replica = {} if self.lease is None else {"replica_id": self.lease.replica_id}
        self.told_replica = self.lease.replica_id if self.lease is not None else None
        place = {"queue_position": queue_position, "predicted_start_ms": predicted_start_ms}
        self._append("started", {**place, **self.facts, **replica})

    def tell_replica(self) -> None:
        """Tell readers that have `started` already which replica works for them now, if they do not know."""
        if self.has_started_frame and self.lease is not None and self.lease.replica_id != self.told_replica:
            self.told_replica = self.lease.replica_id
            self.publish("metrics", {"replica_id": self.lease.replica_id})

    def learn(self, facts: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Take in what the engine says as it starts; return what is news to readers that have `started` already."""
        news = {name: value for name, value in facts.items() if self.facts.get(name) != value}
        self.facts = {**self.facts, **facts}
        if self.has_started_frame:
            return news
        self.publish_started(0, 0)
        return {}

    def publish_token(self, text: str) -> None:
        """Write one token frame; the caller has seen that the log is open."""
        log = self.log
        log.append(token_frame(log.next_id, text, self.tokens))
        self.tokens += 1

    def publish(self, event: str, data: Mapping[str, JsonValue]) -> None:
        """Write a `metrics` or `narration` frame, unless the terminal frame is out.

        Whoever was woken to tell of a change may run only after a cancel that came in the same tick.
        """
        if not self.log.is_closed:
            self._append(event, data)

    def narrate(self, action: str, human: str) -> bool:
        """Write a `narration` frame if the service narrates; False if readers are behind: it goes before `metrics`.

        Nothing is told of a stream that has not begun or is over.
        """
        if not self.narrates or not self.has_started_frame or self.log.is_closed:
            return True
        if self.log.lag > self.log.ahead // 4:
            return False
        self._append("narration", self._narration(action, human))
        return True

    def finish(self, end: End) -> None:
        """Write the `end` frame of a task that the engine has answered in full."""
        if self._conclude(TaskState.ENDED):
            self.end = end
            self.log.close(*self._last("end", end.data, "the answer is complete"))

    def fail(self, envelope: ErrorEnvelope) -> None:
        """Write the `error` frame and stop the run, wherever it is."""
        if self._conclude(TaskState.FAILED):
            self.error = envelope
            minimal = ("code", "message", "retriable", "retry_after_ms", "engine")
            data = {name: value for name, value in envelope.data.items() if name in minimal}
            self.log.close(*self._last("error", data, f"the task fails: {envelope.code}"))
            self.scope.cancel()

    def cancel(self, reason: CancelReason) -> bool:
        """Seal the log with `end{canceled:true}` and stop the run; False if the task was over.

        After this returns no token of the task can be published, and none that was not handed to a connection yet can
        leave.
        """
        if not self._conclude(TaskState.CANCELED):
            return False
        self.cancel_reason = reason
        now = trio.current_time()
        decoded_s = 0.0 if self.first_token_at is None else now - self.first_token_at
        self.end = End(
            tokens_out=self.tokens,
            decode_time_ms=round(1000 * decoded_s),
            finish_reason=FinishReason.CANCELED,
            canceled=True,
        )
        self.log.close_canceled(*self._last("end", self.end.data, f"the task is stopped: {reason}"))
        self.scope.cancel()
        return True

    def _conclude(self, state: TaskState) -> bool:
        if state not in FOLLOWING[self.state]:
            return False
        self.publish_started(0, 0)
        self.state = state
        self.ended_at = trio.current_time()
        return True

    def _last(self, event: str, data: Mapping[str, JsonValue], human: str) -> list[bytes]:
        if not self.narrates:
            return [frame(self.log.next_id, event, data)]
        action = "cancel" if self.state is TaskState.CANCELED else event
        told = frame(self.log.next_id, "narration", self._narration(action, human))
        return [told, frame(self.log.next_id + 1, event, data)]

    def _narration(self, action: str, human: str) -> dict[str, JsonValue]:
        return {"human": human, "actor": "orchestratord", "action": action, "target": self.pool_id}

    def _append(self, event: str, data: Mapping[str, JsonValue]) -> None:
        self.log.append(frame(self.log.next_id, event, data))
