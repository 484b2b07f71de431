"""One request, tried on one replica after another until one gives a first token.

The host decides whether and when there is a further try; the slot is the caller's, who moves it. Between two tries the
request is with nobody: a cancel that comes then ends it as canceled, and Cancelled leaves at once.

Implements: ORCH-3602, AH-1004.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, final

import trio

from http_util.backoff import RetryPolicy as Backoff

from ._retry import exhausted, may_help

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from adapter_api import ReplicaId, TaskRequest, WorkerError

    from ._breaker import Trial
    from ._retry import RetryBudget, RetryPolicy


class Seat(Protocol):
    """The slot that a request holds; it may move from replica to replica."""

    @property
    def replica_id(self) -> ReplicaId:
        """Where the slot is now."""

    @property
    def trial(self) -> Trial | None:
        """What the replica's breaker let the request through with; None leaves that to the host."""

    def may_move(self, tried: Set[ReplicaId]) -> bool:
        """Whether there is a replica, not among `tried`, that could take the request now or soon."""

    async def move(self, tried: Set[ReplicaId], failure: WorkerError) -> bool:
        """Give the slot up for one on a replica that is not among `tried`, and wait for that if need be.

        `failure` is why it is given up: an engine that said so itself has let go of the request already. False if there
        is none any more. Cancelled leaves no slot, or the new one, in the seat.
        """


@final
class Tries:
    """The tries of one request so far."""

    def __init__(self, policy: RetryPolicy, budget: RetryBudget, random: Callable[[], float]) -> None:
        self.replicas: set[ReplicaId] = set()
        self.failures: list[WorkerError] = []
        self._policy = policy
        self._budget = budget
        self._random = random
        budget.deposit()

    def failed(self, seat: Seat, error: WorkerError) -> None:
        """Note a failure before the first token."""
        self.replicas.add(seat.replica_id)
        self.failures.append(error)

    def pause_s(self, seat: Seat) -> float:
        """Return how long to wait before the next try; raise what the caller is told if there is none."""
        error = self.failures[-1]
        if not may_help(error):
            raise error
        if not seat.may_move(self.replicas):
            raise exhausted(self.failures)
        if len(self.failures) >= self._policy.attempts or not self._budget.withdraw():
            raise error
        backoff = Backoff(base_s=self._policy.base_s, cap_s=self._policy.cap_s)
        return backoff.delay(len(self.failures) - 1, self._random(), (error.retry_after_ms or 0) / 1000)

    def outcome(self) -> WorkerError:
        """Return what the caller is told when no replica is left."""
        return exhausted(self.failures)


@final
class Stop:
    """A cancel of the request, wherever it is."""

    def __init__(self) -> None:
        self.is_set = False
        self._scope = trio.CancelScope()

    def set(self) -> None:
        """Let there be no further try; one that is waited for is given up at once."""
        self.is_set = True
        self._scope.cancel()

    async def move(self, seat: Seat, tries: Tries, pause_s: float) -> bool:
        """Wait, then move the seat; False if no replica is left, or the request is stopped."""
        self._scope = trio.CancelScope()
        if self.is_set:
            self._scope.cancel()
        with self._scope:
            await trio.sleep(pause_s)
            return await seat.move(tries.replicas, tries.failures[-1])
        return False


@final
class TimeLeft:
    """What is left of a request's own deadline at each try."""

    def __init__(self, request: TaskRequest) -> None:
        self._request = request
        self._began_at = trio.current_time()

    def request(self) -> TaskRequest:
        """Return the request with the time that is left for it."""
        if self._request.deadline_ms is None:
            return self._request
        spent_ms = round(1000 * (trio.current_time() - self._began_at))
        return replace(self._request, deadline_ms=max(1, self._request.deadline_ms - spent_ms))
