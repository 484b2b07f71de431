"""What the embedded engine tells while it starts, runs and falls over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What the engine is about."""

    ASSEMBLING = "assembling"
    VERIFYING = "verifying"
    LOADING = "loading"
    READY = "ready"
    DIED = "died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report; `human` is a short sentence, `fraction` how much of the step is done where that is known."""

    step: Step
    human: str
    fraction: float | None = None
    elapsed_s: float | None = None


Report = Callable[[Progress], None]


class EngineUnavailable(Exception):
    """The embedded engine cannot be had; the text says why and what to do, `log` is the end of its log."""

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(f"{message}\n{log}" if log else message)
        self.message = message
        self.log = log
