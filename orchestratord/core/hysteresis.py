"""Whether a replica is up, from its health checks: one lost answer is no outage, one good one no recovery.

Implements: ORCH-3038.
"""

from typing import final

from adapter_api import WorkerHealth


@final
class Hysteresis:
    """Goes down after `failures` failed checks in a row, and up after `successes` good ones.

    An engine that answers that it is not ready is believed at once: that is its own word, and nothing was lost.
    """

    def __init__(self, failures: int, successes: int) -> None:
        self.is_up = False
        self._needed = {True: successes, False: failures}
        self._against = 0

    def judge(self, told: WorkerHealth) -> WorkerHealth:
        """Take in one check and return the replica's health as the pool acts on it."""
        self._against = 0 if told.ready is self.is_up else self._against + 1
        if self._against >= self._needed[told.ready] or (told.live and not told.ready):
            self.is_up = told.ready
            self._against = 0
        if told.ready is self.is_up:
            return told
        word = "good" if told.ready else "failed"
        detail = f"{self._against} of {self._needed[told.ready]} {word} checks{f': {told.detail}' * bool(told.detail)}"
        return WorkerHealth(live=True, ready=self.is_up, detail=detail)
