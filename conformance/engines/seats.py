"""Who is at work in an engine and who waits: a fixed number of seats and a queue in order of arrival.

A request is admitted, takes a seat as soon as one is free, and leaves. An engine that notices late that its client is
gone keeps the seat for a while. `facts.live` counts from admission to the seat's release. No bytes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from .double import Facts


class Full(Exception):
    """The queue is as long as it may be."""


@final
class Seats:
    """`count` seats; without `max_waiting` the queue has no end."""

    def __init__(self, count: int, facts: Facts, nursery: trio.Nursery, *, max_waiting: int | None = None) -> None:
        self._count = count
        self._facts = facts
        self._nursery = nursery
        self._max_waiting = max_waiting
        self._admitted: dict[object, bool] = {}  # who -> has a seat
        self._queue: dict[object, None] = {}  # who wants a seat, in order
        self._changed = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Seats running={self.running}/{self._count} waiting={self.waiting}>"

    @property
    def running(self) -> int:
        """How many seats are taken, by workers or by those that were not yet let go."""
        return sum(self._admitted.values())

    @property
    def waiting(self) -> int:
        """How many wait for a seat."""
        return len(self._admitted) - self.running

    def admit(self, who: object) -> None:
        """Let a request in; raise `Full` if no seat is free and the queue is full."""
        if self._max_waiting is not None and self.running + self.waiting >= self._count + self._max_waiting:
            raise Full
        self._admitted[who] = False
        self._facts.live += 1

    async def take(self, who: object) -> None:
        """Wait for a seat. Cancelled: still admitted, until `leave`."""
        self._queue[who] = None
        try:
            while self.running >= self._count or who is not next(iter(self._queue)):
                await self._changed.park()
            await trio.lowlevel.checkpoint_if_cancelled()
            self._admitted[who] = True
        finally:
            del self._queue[who]
            self._changed.unpark_all()

    def leave(self, who: object, *, after_s: float = 0.0) -> None:
        """Free the seat, or the place in the queue, now or later; a second time it does nothing."""
        if after_s and self._admitted.get(who):
            self._nursery.start_soon(self._leave_after, who, after_s)
        elif self._admitted.pop(who, None) is not None:
            self._facts.live -= 1
            self._changed.unpark_all()

    def clear(self) -> None:
        """Forget everybody: the process is a new one."""
        for who in list(self._admitted):
            self.leave(who)

    async def _leave_after(self, who: object, seconds: float) -> None:
        await trio.sleep(seconds)
        self.leave(who)
