"""Cut a piece of work at its first step, at its second, and so on, until it ends before the knife comes down.

A step is one run of a task between two checkpoints; an instrument counts the steps of the tasks whose names begin alike
and calls `cut` before the n-th. What stands afterwards is for the caller to look at. Time should be
virtual, and the work must be the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable

MOST_STEPS = 2000
"""Work that takes more steps than this is not the same every time, or never ends."""


@final
class Knife(trio.abc.Instrument):
    """Calls `cut` before the `at`-th step of the tasks whose name begins with `prefix`; `fell` says whether it did.

    Between two steps is where another task could have made the cut, so it may do whatever synchronous code may do.
    """

    def __init__(self, prefix: str, at: int, cut: Callable[[], None]) -> None:
        self._prefix = prefix
        self._at = at
        self._cut = cut
        self._steps = 0
        self.fell = False

    def put_away(self) -> None:
        """Cut nothing that comes from now on."""
        self._at = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.fell or not task.name.startswith(self._prefix):
            return
        self._steps += 1
        if self._steps == self._at:
            self.fell = True
            self._cut()


Arm = Callable[[Callable[[], None]], Knife]


async def sweep(prefix: str, work: Callable[[Arm], Awaitable[None]]) -> int:
    """Await `work(arm)` once for each step of the tasks named `prefix…`, then once uncut; return how many cuts fell.

    `work` calls `arm(cut)` when its tasks are about to start, and gets the knife to ask whether it fell.
    """
    for at in range(1, MOST_STEPS):
        armed: list[Knife] = []

        def arm(cut: Callable[[], None], at: int = at, armed: list[Knife] = armed) -> Knife:
            knife = Knife(prefix, at, cut)
            trio.lowlevel.add_instrument(knife)
            armed.append(knife)
            return knife

        try:
            await work(arm)
        finally:
            for knife in armed:
                trio.lowlevel.remove_instrument(knife)
        if not any(knife.fell for knife in armed):
            return at - 1
    raise AssertionError(f"the work took {MOST_STEPS} steps and more")
