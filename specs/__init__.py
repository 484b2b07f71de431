"""The specification: Markdown documents with one requirement an item, and the tables in them as typed values.

The documents say what must hold, the code says how; tests and the conformance kit compare the two through `load`. The
syntax of the documents is described in `README.md` beside them.
"""

from ._drift import Drift, DriftKind, drift
from ._errors import Fault, SpecError
from ._files import GUIDE
from ._load import load, load_from
from ._lock import EMPTY, LOCK, Lock, Locked, LockError, Tombstone, lock_text, locked, read_lock
from ._model import FrameOrderTable, Level, Requirement, Specification
from ._openapi import openapi, openapi_text
from ._rows import (
    Agreement,
    Bound,
    EngineError,
    Environment,
    ErrorCode,
    ErrorPhase,
    Exclusion,
    LogContract,
    Metric,
    MetricType,
    Profile,
    RedactionRow,
    Route,
    Sample,
    StatusRow,
    WorkerErrorRow,
)

__all__ = [
    "EMPTY",
    "GUIDE",
    "LOCK",
    "Agreement",
    "Bound",
    "Drift",
    "DriftKind",
    "EngineError",
    "Environment",
    "ErrorCode",
    "ErrorPhase",
    "Exclusion",
    "Fault",
    "FrameOrderTable",
    "Level",
    "Lock",
    "LockError",
    "Locked",
    "LogContract",
    "Metric",
    "MetricType",
    "Profile",
    "RedactionRow",
    "Requirement",
    "Route",
    "Sample",
    "SpecError",
    "Specification",
    "StatusRow",
    "Tombstone",
    "WorkerErrorRow",
    "drift",
    "load",
    "load_from",
    "lock_text",
    "locked",
    "openapi",
    "openapi_text",
    "read_lock",
]
