"""Names for the identifiers that cross package borders."""

from typing import NewType

TaskId = NewType("TaskId", str)
SessionId = NewType("SessionId", str)
PoolId = NewType("PoolId", str)
ReplicaId = NewType("ReplicaId", str)
CorrelationId = NewType("CorrelationId", str)
