"""The service's log: one JSON object a line, or a pretty form for terminals, always redacted.

Redaction is the last processor before rendering, so nothing can be added after it.

Implements: OC-CTRL-2041, ORCH-3027, AH-3001, HTU-1004.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

    from adapter_api import JsonValue
    from orchestratord.config import LogConfig

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FIRST = ("ts", "level", "event", "human", "actor", "action", "target")


def open_log(
    config: LogConfig, redact: Callable[[JsonValue], JsonValue], stream: TextIO | None = None
) -> FilteringBoundLogger:
    """Return the logger that everything in the service writes through; `redact` masks secrets in nested values."""
    out = sys.stderr if stream is None else stream
    pretty = config.format == "pretty" or (config.format == "auto" and out.isatty())

    def redacted(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        masked = redact(dict(event))
        assert isinstance(masked, dict)
        return masked

    render = structlog.dev.ConsoleRenderer(event_key="event", timestamp_key="ts") if pretty else _json_line
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            redacted,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[config.level]),
        cache_logger_on_first_use=True,
    )
    return logger


def _json_line(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    ordered = {name: event[name] for name in _FIRST if name in event}
    return msgspec.json.encode({**ordered, **event}).decode()
