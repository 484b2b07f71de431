"""The tables of all documents while they are being read, before they are joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import _rows as rows

if TYPE_CHECKING:
    from ._markdown import Block
    from ._model import FrameOrderTable, Schema


@dataclass(slots=True)
class Draft:
    """The tables read so far, and the block that each came from."""

    blocks: dict[tuple[str, ...], Block] = field(default_factory=dict)
    orders: dict[str, FrameOrderTable] = field(default_factory=dict)
    schemas: dict[tuple[str, str], Schema] = field(default_factory=dict)
    examples: list[tuple[Block, object]] = field(default_factory=list)
    errors: dict[str, rows.ErrorCode] = field(default_factory=dict)
    worker_errors: dict[str, rows.WorkerErrorRow] = field(default_factory=dict)
    engine_errors: dict[str, tuple[rows.EngineError, ...]] = field(default_factory=dict)
    status_rules: tuple[rows.StatusRow, ...] = ()
    redaction_rules: tuple[rows.RedactionRow, ...] = ()
    redaction_contexts: tuple[str, ...] = ()
    metrics: dict[str, rows.Metric] = field(default_factory=dict)
    label_budgets: dict[str, int] = field(default_factory=dict)
    routes: tuple[rows.Route, ...] = ()
    never_served: tuple[str, ...] = ()
    api_version: str = ""
    bounds: dict[str, rows.Bound] = field(default_factory=dict)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    log: rows.LogContract = field(default_factory=lambda: rows.LogContract(fields=(), events=()))
    environment: tuple[rows.Environment, ...] = ()
    profiles: tuple[rows.Profile, ...] = ()
    unproved_advice: int = 0
    exclusions: tuple[rows.Exclusion, ...] = ()
    agreements: tuple[rows.Agreement, ...] = ()
