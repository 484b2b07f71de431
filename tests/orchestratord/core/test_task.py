"""The life of a task: where it can go, and that it always ends."""

from __future__ import annotations

import pytest

from orchestratord.core.task import FOLLOWING, TaskState

pytestmark = pytest.mark.req("OC-CTRL-2012", "OC-CTRL-2027")


def test_every_state_is_in_the_table() -> None:
    assert set(FOLLOWING) == set(TaskState)
    assert set().union(*FOLLOWING.values()) | {TaskState.QUEUED} == set(TaskState)


def test_final_states_are_the_ones_that_nothing_follows() -> None:
    final = {state for state in TaskState if state.is_final}
    assert final == {TaskState.ENDED, TaskState.FAILED, TaskState.CANCELED}


@pytest.mark.parametrize("state", [TaskState.QUEUED, TaskState.RUNNING])
def test_a_living_task_can_always_fail_and_be_canceled(state: TaskState) -> None:
    assert {TaskState.FAILED, TaskState.CANCELED} <= FOLLOWING[state]


def test_no_path_is_longer_than_three_states() -> None:
    paths = [[TaskState.QUEUED]]
    while any(FOLLOWING[path[-1]] for path in paths):
        paths = [[*path, following] for path in paths for following in FOLLOWING[path[-1]] or [path[-1]]]
        assert all(len(path) <= 3 for path in paths)


def test_only_a_running_task_ends_well() -> None:
    assert [state for state in TaskState if TaskState.ENDED in FOLLOWING[state]] == [TaskState.RUNNING]
