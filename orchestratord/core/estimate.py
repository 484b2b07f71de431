"""When will a waiting task start? An estimate from how long slots were held lately.

Implements: OC-CTRL-2050.
"""

import heapq
from collections.abc import Sequence
from typing import final

PRIOR_S = 2.0
"""What a task is assumed to take before the first one has ended, in seconds."""
WEIGHT = 0.2
"""Weight of the newest observation in the moving mean: the last ten tasks make up nine tenths of it."""


@final
class ServiceTime:
    """A moving mean of how long a task holds its slot, in seconds."""

    def __init__(self) -> None:
        self.mean_s = PRIOR_S
        self._observed = False

    def observe(self, held_s: float) -> None:
        """Take in one finished task."""
        self.mean_s = (1 - WEIGHT) * self.mean_s + WEIGHT * held_s if self._observed else held_s
        self._observed = True


def predicted_start_ms(ahead: int, free_slots: int, running_s: Sequence[float], mean_s: float) -> int:
    """Return in how many milliseconds a task with `ahead` tasks before it gets a slot.

    `running_s` says for how long each busy slot has been held. Slots are filled in turn: each task ahead takes the slot
    that frees first and holds it for the mean. With no slot at all (nothing ready) the mean per task ahead is the best
    guess there is.
    """
    if ahead < free_slots:
        return 0
    ends = [0.0] * free_slots + [max(0.0, mean_s - held_s) for held_s in running_s]
    if not ends:
        return round(1000 * mean_s * (ahead + 1))
    heapq.heapify(ends)
    for _ in range(ahead):
        heapq.heapreplace(ends, ends[0] + mean_s)
    return round(1000 * ends[0])
