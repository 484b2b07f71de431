"""The service's log: one JSON object a line, or a pretty form for terminals, always redacted.

Redaction comes after everything that adds to a record, and before what shortens it: half a secret is known to nobody.
A log that cannot be written is not worth a task: whatever cannot be encoded is escaped, and a broken stream is let go.

Implements: OC-CTRL-2041, ORCH-3027, AH-3001, HTU-1004.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO, final

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

    from adapter_api import JsonValue
    from orchestratord.config import LogConfig

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
HUMAN_CHARACTERS = 160
_LINE_BREAKERS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Characters that JSON may hold as they are, and that end a line or steer a terminal for whoever reads the log."""
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
        _Sink(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            redacted,
            _shortened,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[config.level]),
        cache_logger_on_first_use=True,
    )
    return logger


@final
class _Sink:
    """Where lines go."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):  # a pipe nobody reads, a stream that is closed
            self._out.write(line + "\n")
            self._out.flush()

    debug = info = warning = error = critical = log = msg


def _shortened(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    human = event.get("human")
    if isinstance(human, str) and len(human) > HUMAN_CHARACTERS:
        event["human"] = human[: HUMAN_CHARACTERS - 1] + "…"
    return event


def _json_line(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    ordered = {name: event[name] for name in _FIRST if name in event}
    record = {**ordered, **event}
    try:
        line = msgspec.json.encode(record).decode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only hold escaped
        return json.dumps(record)
    return _LINE_BREAKERS.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
