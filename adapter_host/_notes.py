"""What the host says about its work, for logs and narration.

Implements: ORCH-3604, AH-2001.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ._breaker import BreakerState

if TYPE_CHECKING:
    from adapter_api import JsonValue, PoolId, ReplicaId, TaskRequest

ACTOR = "adapter-host"


class Action(StrEnum):
    """The moments that are told."""

    SUBMIT = "submit"
    STREAM_START = "stream_start"
    STREAM_END = "stream_end"
    CANCEL = "cancel"
    ERROR = "error"
    RETRY = "retry"
    BREAKER = "breaker"


@dataclass(frozen=True, slots=True)
class Note:
    """One moment: `human` is a plain sentence without ids; the ids are in `fields`, named as in the log contract."""

    action: Action
    human: str
    target: str
    fields: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happens."""

    engine: str
    pool_id: PoolId
    replica_id: ReplicaId


Observer = Callable[[Note], None]
"""Takes every note; must not block and must not raise."""

_HUMAN: dict[Action, str] = {
    Action.SUBMIT: "hands a task to {engine}",
    Action.STREAM_START: "{engine} starts to answer",
    Action.STREAM_END: "{engine} has answered in full",
    Action.CANCEL: "stops a task on {engine}",
    Action.ERROR: "{engine} fails a task: {error}",
    Action.RETRY: "tries a task on another replica: {error}",
}
_BREAKER: dict[BreakerState, str] = {
    BreakerState.OPEN: "sends nothing to a replica that fails again and again",
    BreakerState.HALF_OPEN: "sends one task to a replica that has failed, to see whether it works again",
    BreakerState.CLOSED: "trusts a replica again",
}


def note(action: Action, place: Place, request: TaskRequest, error: str = "", **fields: JsonValue) -> Note:
    """Return the note for one moment of one stream."""
    ids: dict[str, JsonValue] = {
        "job_id": request.task_id,
        "session_id": request.session_id,
        "correlation_id": request.correlation_id,
        "engine": place.engine,
        "pool_id": place.pool_id,
        "replica_id": place.replica_id,
        **fields,
    }
    human = _HUMAN[action].format(engine=place.engine, error=error)
    return Note(action, human, place.pool_id, {name: value for name, value in ids.items() if value is not None})


def breaker_note(pool_id: PoolId, replica_id: ReplicaId, state: BreakerState, wait_s: float) -> Note:
    """Return the note for a breaker that has changed."""
    fields: dict[str, JsonValue] = {"pool_id": pool_id, "replica_id": replica_id, "state": state.value}
    if state is BreakerState.OPEN:
        fields["retry_after_ms"] = round(1000 * wait_s)
    return Note(Action.BREAKER, _BREAKER[state], pool_id, fields)
