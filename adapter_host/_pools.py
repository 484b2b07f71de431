"""What the host keeps for each pool beside its bindings: its policy, its budget for further tries, its breakers.

Implements: AH-1006, ORCH-3602.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from ._breaker import Breaker, BreakerState
from ._notes import breaker_note
from ._policy import PoolPolicy
from ._retry import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter_api import PoolId, ReplicaId

    from ._notes import Observer

DEFAULT = PoolPolicy()


@final
class Pools:
    """Each is made when it is first asked for, and is the same one from then on."""

    def __init__(self, policies: Mapping[PoolId, PoolPolicy], random01: Callable[[], float], observe: Observer) -> None:
        self._policies = policies
        self._random01 = random01
        self._observe = observe
        self._breakers: dict[tuple[PoolId, ReplicaId], Breaker] = {}
        self._budgets: dict[PoolId, RetryBudget] = {}

    def policy(self, pool_id: PoolId) -> PoolPolicy:
        """Return the pool's policy, or the default one."""
        return self._policies.get(pool_id, DEFAULT)

    def budget(self, pool_id: PoolId) -> RetryBudget:
        """Return the pool's budget for further tries."""
        if pool_id not in self._budgets:
            self._budgets[pool_id] = RetryBudget(self.policy(pool_id).retry)
        return self._budgets[pool_id]

    def breaker(self, pool_id: PoolId, replica_id: ReplicaId) -> Breaker:
        """Return the replica's breaker, which tells the observer of its changes."""
        key = (pool_id, replica_id)
        if key not in self._breakers:

            def tell(state: BreakerState) -> None:
                self._observe(breaker_note(pool_id, replica_id, state, self._breakers[key].wait_s))

            policy = self.policy(pool_id).breaker
            self._breakers[key] = Breaker(policy, clock=trio.current_time, random=self._random01, on_change=tell)
        return self._breakers[key]
