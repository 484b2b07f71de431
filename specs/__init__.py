"""The specification: Markdown documents with one requirement an item, and the tables in them as typed values.

The documents say what must hold, the code says how; tests and the conformance kit compare the two through `load`. The
syntax of the documents is described in `README.md` beside them.
"""

from ._errors import SpecError
from ._load import load, load_from
from ._model import FrameOrderTable, Level, Requirement, Specification
from ._rows import (
    Bound,
    EngineError,
    Environment,
    ErrorCode,
    ErrorPhase,
    LogContract,
    Metric,
    MetricType,
    RedactionRow,
    Route,
    Sample,
    StatusRow,
    WorkerErrorRow,
)

__all__ = [
    "Bound",
    "EngineError",
    "Environment",
    "ErrorCode",
    "ErrorPhase",
    "FrameOrderTable",
    "Level",
    "LogContract",
    "Metric",
    "MetricType",
    "RedactionRow",
    "Requirement",
    "Route",
    "Sample",
    "SpecError",
    "Specification",
    "StatusRow",
    "WorkerErrorRow",
    "load",
    "load_from",
]
