"""The queue against a list that anybody can read, under every policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adapter_api import TaskId
from orchestratord.core.queue import FullPolicy, PoolQueue, Priority, Queued, QueueFull

if TYPE_CHECKING:
    from collections.abc import Iterator

priorities = st.sampled_from(Priority)


class QueueModel(RuleBasedStateMachine):
    """Two plain lists, and the rules written as sentences would say them."""

    def __init__(self) -> None:
        super().__init__()
        self.interactive: list[TaskId] = []
        self.batch: list[TaskId] = []
        self.made = 0

    @initialize(capacity=st.integers(1, 5), policy=st.sampled_from(FullPolicy))
    def start(self, capacity: int, policy: FullPolicy) -> None:
        self.capacity = capacity
        self.policy = policy
        self.queue = PoolQueue(capacity, policy)

    @property
    def line(self) -> list[TaskId]:
        return self.interactive + self.batch

    def victim(self, newcomer: Priority) -> TaskId | None:
        if self.policy is FullPolicy.DROP_LRU:
            return self.batch[0] if self.batch else self.interactive[0]
        if self.policy is FullPolicy.SHED_LOW_PRIORITY and newcomer is Priority.INTERACTIVE and self.batch:
            return self.batch[-1]
        return None

    @rule(priority=priorities)
    def offer(self, priority: Priority) -> None:
        self.made += 1
        task_id = TaskId(f"t{self.made}")
        dropped = self.victim(priority) if len(self.line) == self.capacity else None
        is_refused = len(self.line) == self.capacity and dropped is None
        line_before = self.interactive if priority is Priority.INTERACTIVE else self.line
        assert self.queue.ahead_of(priority) == len(line_before)
        verdict = self.queue.offer(task_id, priority)
        if is_refused:
            assert verdict == QueueFull(self.policy)
            return
        if dropped is not None:
            (self.batch if dropped in self.batch else self.interactive).remove(dropped)
        (self.interactive if priority is Priority.INTERACTIVE else self.batch).append(task_id)
        assert verdict == Queued(self.line.index(task_id), dropped)

    @rule()
    def take(self) -> None:
        expected = self.line[0] if self.line else None
        assert self.queue.take() == expected
        if expected is not None:
            (self.interactive if self.interactive else self.batch).pop(0)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        task_id = TaskId(f"t{data.draw(st.integers(1, self.made))}")
        was_there = task_id in self.line
        assert self.queue.remove(task_id) == was_there
        if was_there:
            (self.batch if task_id in self.batch else self.interactive).remove(task_id)

    @invariant()
    def is_the_same_line(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.line) <= self.capacity
        assert self.queue.depth(Priority.INTERACTIVE) == len(self.interactive)
        assert self.queue.depth(Priority.BATCH) == len(self.batch)
        for at, task_id in enumerate(self.line):
            assert self.queue.position(task_id) == at
            assert task_id in self.queue
        assert self.queue.position(TaskId("stranger")) is None
        assert TaskId("stranger") not in self.queue


TestQueue = pytest.mark.req("OC-CORE-1001", "OC-CORE-1002", "OC-CORE-1003", "OC-CORE-1004", "OC-CORE-1005")(
    QueueModel.TestCase
)
TestQueue.settings = settings(max_examples=150, stateful_step_count=40)


def filled(policy: FullPolicy, *priorities: Priority) -> PoolQueue:
    queue = PoolQueue(len(priorities), policy)
    for at, priority in enumerate(priorities):
        queue.offer(TaskId(f"t{at}"), priority)
    return queue


INTER, BATCH = Priority.INTERACTIVE, Priority.BATCH


@pytest.mark.req("OC-CORE-1004")
@pytest.mark.parametrize(
    ("policy", "waiting", "newcomer", "dropped"),
    [
        (FullPolicy.REJECT, [BATCH, BATCH], INTER, None),
        (FullPolicy.DROP_LRU, [INTER, BATCH, BATCH], INTER, "t1"),
        (FullPolicy.DROP_LRU, [INTER, INTER], BATCH, "t0"),
        (FullPolicy.SHED_LOW_PRIORITY, [INTER, BATCH, BATCH], INTER, "t2"),
        (FullPolicy.SHED_LOW_PRIORITY, [INTER, BATCH, BATCH], BATCH, None),
        (FullPolicy.SHED_LOW_PRIORITY, [INTER, INTER], INTER, None),
    ],
)
def test_who_gives_way(policy: FullPolicy, waiting: list[Priority], newcomer: Priority, dropped: str | None) -> None:
    verdict = filled(policy, *waiting).offer(TaskId("new"), newcomer)
    if dropped is None:
        assert verdict == QueueFull(policy)
    else:
        assert isinstance(verdict, Queued)
        assert verdict.dropped == dropped


class Counting(dict[TaskId, None]):
    """A dict that counts how many of its keys are walked over."""

    walked = 0

    def __iter__(self) -> Iterator[TaskId]:
        for key in super().__iter__():
            Counting.walked += 1
            yield key


@pytest.mark.req("OC-CORE-1001")
@pytest.mark.parametrize("policy", list(FullPolicy))
def test_offer_take_and_remove_do_not_walk_the_line(policy: FullPolicy) -> None:
    queue = filled(policy, *[BATCH] * 1000)
    for priority, waiting in list(queue._waiting.items()):
        queue._waiting[priority] = Counting(waiting)
    Counting.walked = 0
    queue.offer(TaskId("new"), INTER)
    queue.take()
    queue.remove(TaskId("t500"))
    assert Counting.walked <= 4


def test_shows_its_depths() -> None:
    assert repr(filled(FullPolicy.REJECT, INTER, BATCH, BATCH)) == "<PoolQueue interactive=1 batch=2 of 3>"
