"""The in-process host of engine adapters: registry and facade.

It knows the adapter contract and nothing of HTTP, queues or configuration.
"""

from ._host import CANCEL_BOUND_S, AdapterHost
from ._notes import ACTOR, Action, Note, Observer
from ._registry import Binding, NotBound
from ._stream import HostedStream

__all__ = [
    "ACTOR",
    "CANCEL_BOUND_S",
    "Action",
    "AdapterHost",
    "Binding",
    "HostedStream",
    "NotBound",
    "Note",
    "Observer",
]
