"""Broken in who gets a slot, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.service.zoo import Service

if TYPE_CHECKING:
    from conformance.service.zoo_wire import Task


class NoPriorities(Service):
    """There is one queue for all."""

    def next_in_line(self) -> Task:
        return self.queue[0]


class PrioritiesAtTheDoor(Service):
    """An interactive task passes the batch tasks behind the first, which keeps its place."""

    def next_in_line(self) -> Task:
        return self.queue[0] if self.queue[0].body["priority"] == "batch" else super().next_in_line()


class LastInFirstOut(Service):
    """The queue is a stack."""

    def next_in_line(self) -> Task:
        return min(reversed(self.queue), key=lambda task: task.body["priority"] != "interactive")


class ShortOnesFirst(Service):
    """Of batch tasks, the one with the smallest id goes first."""

    def next_in_line(self) -> Task:
        task = super().next_in_line()
        return task if task.body["priority"] == "interactive" else self.queue[-1]


class KeepsTheirPlaces(Service):
    """A cancelled task keeps its place in the queue until its turn comes."""

    def leave_queue(self, task: Task) -> None:
        if task.turn.is_set():
            super().leave_queue(task)


class GivesBackAtEachCancel(Service):
    """A cancel that is repeated gives another slot back."""

    def cancel(self, task: Task) -> None:
        was_over = task.is_over
        super().cancel(task)
        if was_over and task.is_canceled:
            self.give_back()


class LosesASlot(Service):
    """The slot of a task that is cancelled while it runs is lost."""

    def cancel(self, task: Task) -> None:
        if task.is_running and not task.is_over:
            self.free -= 1
        super().cancel(task)


class TellsThePlaceOnce(Service):
    """A task that waits is not told that it moves up."""

    def move_up(self) -> None:
        for place, task in enumerate(self.queue):
            task.place = place
