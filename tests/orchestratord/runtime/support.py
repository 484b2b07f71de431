"""What the tests of the runtime say in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import Started
from orchestratord.errors import ErrorEnvelope, Refused
from tests.support.scripted import ScriptedAdapter
from tests.support.service_rig import frames_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestratord.runtime.task import Order, Task
    from tests.support.service_rig import Rig, Seen


def busy(count: int = 1) -> ScriptedAdapter:
    """An engine whose first answers never come."""
    return ScriptedAdapter(streams=[[Started(), trio.Event()] for _ in range(count)])


def refused(rig: Rig, order: Order | None = None) -> ErrorEnvelope:
    with pytest.raises(Refused) as caught:
        rig.admit(order)
    return caught.value.envelope


def kinds(task: Task) -> list[str]:
    return [seen.event for seen in frames_of(task)]


def events_of(frames: Sequence[Seen]) -> list[str]:
    return [seen.event for seen in frames]


def texts_of(frames: Sequence[Seen]) -> list[object]:
    return [seen.data["t"] for seen in frames if seen.event == "token"]


def assert_over(rig: Rig, task: Task) -> None:
    """The task is over, once, and holds nothing."""
    frames = frames_of(task)
    assert [seen.id for seen in frames] == list(range(1, len(frames) + 1))
    assert frames[0].event == "started"
    assert [seen.event for seen in frames if seen.event in {"end", "error"}] == [frames[-1].event]
    assert task.state.is_final
    assert task.closed.is_set()
    assert task not in rig.history.live
    assert task.task_id not in rig.pool.queue
    assert rig.pool.active_leases == 0
    assert not any(adapter.live for adapter in rig.adapters)


def assert_one_terminal(task: Task) -> None:
    kinds = events_of(frames_of(task))
    assert [kind for kind in kinds if kind in {"end", "error"}] == [kinds[-1]]
