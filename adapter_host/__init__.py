"""The in-process host of engine adapters: registry, further tries, breakers, and the facade over them.

It knows the adapter contract and nothing of HTTP, queues or configuration.
"""

from ._answer import Seat
from ._bound import CLOSE_BOUND_S, bound
from ._breaker import Breaker, BreakerPolicy, BreakerState, Trial
from ._host import AdapterHost
from ._notes import ACTOR, Action, Note, Observer, Place
from ._policy import PoolPolicy
from ._quotes import discreet
from ._registry import Binding, NotBound
from ._retry import ReplicaExhausted, RetryBudget, RetryPolicy
from ._stream import HostedStream
from ._submit import CANCEL_BOUND_S

__all__ = [
    "ACTOR",
    "CANCEL_BOUND_S",
    "CLOSE_BOUND_S",
    "Action",
    "AdapterHost",
    "Binding",
    "Breaker",
    "BreakerPolicy",
    "BreakerState",
    "HostedStream",
    "NotBound",
    "Note",
    "Observer",
    "Place",
    "PoolPolicy",
    "ReplicaExhausted",
    "RetryBudget",
    "RetryPolicy",
    "Seat",
    "Trial",
    "bound",
    "discreet",
]
