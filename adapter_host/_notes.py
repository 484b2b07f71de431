"""What the host says about its work, for logs and narration.

Implements: ORCH-3604, AH-2001.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter_api import JsonValue, TaskRequest

    from ._registry import Binding

ACTOR = "adapter-host"


class Action(StrEnum):
    """The moments that are told."""

    SUBMIT = "submit"
    STREAM_START = "stream_start"
    STREAM_END = "stream_end"
    CANCEL = "cancel"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """One moment: `human` is a plain sentence without ids; the ids are in `fields`, named as in the log contract."""

    action: Action
    human: str
    target: str
    fields: Mapping[str, JsonValue]


Observer = Callable[[Note], None]
"""Takes every note; must not block and must not raise."""

_HUMAN: dict[Action, str] = {
    Action.SUBMIT: "hands a task to {engine}",
    Action.STREAM_START: "{engine} starts to answer",
    Action.STREAM_END: "{engine} has answered in full",
    Action.CANCEL: "stops a task on {engine}",
    Action.ERROR: "{engine} fails a task: {error}",
}


def note(action: Action, binding: Binding, request: TaskRequest, error: str = "", **fields: JsonValue) -> Note:
    """Return the note for one moment of one stream."""
    ids: dict[str, JsonValue] = {
        "job_id": request.task_id,
        "session_id": request.session_id,
        "correlation_id": request.correlation_id,
        "engine": binding.engine,
        "pool_id": binding.pool_id,
        "replica_id": binding.replica_id,
        **fields,
    }
    human = _HUMAN[action].format(engine=binding.engine, error=error)
    return Note(action, human, binding.pool_id, {name: value for name, value in ids.items() if value is not None})
