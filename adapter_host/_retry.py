"""Whether a request that failed before its first token is tried again, and how long after.

The budget belongs to a pool: every request pays a share of a token in, every further try takes a whole one out. While
few requests fail, each failure finds a token; when all fail, further tries are that share of the load and no more.

Pure: randomness is an argument.

Implements: ORCH-3602, AH-1006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from adapter_api import DeadlineUnmet, PoolUnavailable, WorkerError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """At most `attempts` tries of one request; between them full jitter up to `cap_s` seconds.

    `budget` is how many further tries the pool may have saved up, `share` what each request adds to that.
    """

    attempts: int = 3
    base_s: float = 0.1
    cap_s: float = 2.0
    budget: float = 10.0
    share: float = 0.2


@final
class RetryBudget:
    """The tokens of one pool; it begins full."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.tokens = policy.budget

    def deposit(self) -> None:
        """Note a new request."""
        self.tokens = min(self._policy.budget, self.tokens + self._policy.share)

    def withdraw(self) -> bool:
        """Take the token for one further try; False if there is none."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class ReplicaExhausted(PoolUnavailable):
    """Every replica that could take the request was tried, more than one, and failed before the first token."""


def may_help(error: WorkerError) -> bool:
    """Whether another replica might do better: not if the request is at fault, or its time is up."""
    return error.retriable and not error.blames_request and not isinstance(error, DeadlineUnmet)


def counts_against_engine(error: WorkerError) -> bool:
    """Whether a failure says something about the engine, and not about what was asked of it or for how long."""
    return not error.blames_request and not isinstance(error, DeadlineUnmet)


def exhausted(failures: Sequence[WorkerError]) -> WorkerError:
    """Return what the caller is told when no replica is left: a single failure as it is, several as one."""
    if len(failures) == 1:
        return failures[0]
    advised = [error.retry_after_ms for error in failures if error.retry_after_ms is not None]
    last = failures[-1].message
    return ReplicaExhausted(
        f"{len(failures)} replicas failed; the last: {last}", retry_after_ms=min(advised, default=None)
    )
