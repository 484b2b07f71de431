"""Who waits for a slot in the zoo's services, and whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .zoo_wire import Task


class Line:
    """The slots of a pool and the tasks that wait for one."""

    def __init__(self, slots: int) -> None:
        self.free = slots
        self.queue: list[Task] = []

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self.queue)

    def join(self, task: Task) -> None:
        """Let a task wait."""
        self.queue.append(task)
        self.grant()

    def leave_queue(self, task: Task) -> None:
        """Let a task wait no longer; those behind it move up."""
        if task in self.queue:
            self.queue.remove(task)
            self.move_up()

    def give_back(self) -> None:
        """Have one slot more, for who waits."""
        self.free += 1
        self.grant()

    def grant(self) -> None:
        """Give the free slots to those that wait."""
        while self.free > 0 and self.queue:
            task = self.next_in_line()
            self.queue.remove(task)
            self.free -= 1
            task.turn.set()
        self.move_up()

    def next_in_line(self) -> Task:
        """Return whose turn it is: interactive before batch, then in the order of admission."""
        return min(self.queue, key=lambda task: task.body["priority"] != "interactive")

    def move_up(self) -> None:
        """Tell those that wait where they stand, if that has changed."""
        for place, task in enumerate(self.queue):
            if task.place is not None and task.place != place:
                self.emit(task, "metrics", {"queue_position": place, "predicted_start_ms": 1000 * (place + 1)})
            task.place = place

    def emit(self, task: Task, event: str, data: Mapping[str, object]) -> None:
        """Add a frame to the stream of a task."""
        raise NotImplementedError
