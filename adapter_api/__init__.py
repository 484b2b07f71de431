"""The contract between `orchestratord` and an engine adapter.

An adapter author reads this package and one example. Types are frozen values, errors are one tree, the order of events
is a table, and `WorkerAdapter` and `AdapterFactory` are the two protocols to fulfil.
"""

from ._adapter import AdapterFactory, WorkerAdapter
from ._context import AdapterContext
from ._discovery import GROUP, AdapterNotFound, installed_engines, load_factory
from ._errors import (
    ERROR_KINDS,
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    InternalError,
    PoolUnavailable,
    WorkerError,
    WorkerReset,
)
from ._events import End, EventKind, Failed, FinishReason, JsonValue, Metrics, Started, Token, TokenEvent
from ._ids import CorrelationId, PoolId, ReplicaId, SessionId, TaskId
from ._order import TRANSITIONS, FrameOrder, OrderState, OrderViolation
from ._reports import CancelMode, CancelSupport, Capabilities, WorkerHealth, WorkerProps
from ._requests import Determinism, Message, Sampling, TaskRequest, Workload
from ._secret import Secret

__all__ = [
    "ERROR_KINDS",
    "GROUP",
    "TRANSITIONS",
    "AdapterContext",
    "AdapterError",
    "AdapterFactory",
    "AdapterNotFound",
    "CancelMode",
    "CancelSupport",
    "Capabilities",
    "CorrelationId",
    "DeadlineUnmet",
    "DecodeTimeout",
    "Determinism",
    "End",
    "EventKind",
    "Failed",
    "FinishReason",
    "FrameOrder",
    "InternalError",
    "JsonValue",
    "Message",
    "Metrics",
    "OrderState",
    "OrderViolation",
    "PoolId",
    "PoolUnavailable",
    "ReplicaId",
    "Sampling",
    "Secret",
    "SessionId",
    "Started",
    "TaskId",
    "TaskRequest",
    "Token",
    "TokenEvent",
    "WorkerAdapter",
    "WorkerError",
    "WorkerHealth",
    "WorkerProps",
    "WorkerReset",
    "Workload",
    "installed_engines",
    "load_factory",
]
