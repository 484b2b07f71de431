"""Logs, metrics and narration."""

from .logs import open_log
from .metrics import CONTENT_TYPE, Metrics
from .table import LABEL_BUDGETS, METRICS, Kind, MetricSpec
from .telemetry import Telemetry

__all__ = ["CONTENT_TYPE", "LABEL_BUDGETS", "METRICS", "Kind", "MetricSpec", "Metrics", "Telemetry", "open_log"]
