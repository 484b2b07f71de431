"""The parts of the service that the routes need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestratord.config import Config
    from orchestratord.runtime.dispatcher import Dispatcher
    from orchestratord.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with."""

    config: Config
    dispatcher: Dispatcher
    telemetry: Telemetry
    redact: Callable[[str], str]
