"""Shows what the group has measured, and gives it the time that a real vLLM takes to start."""

from __future__ import annotations

import faulthandler
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 900.0
"""Longer than two servers take to start on a busy machine."""
measured: list[str] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, one line each."""
    for line in measured:
        terminalreporter.write_line(f"measured: {line}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Put the watchdog off, which was set for tests that start nothing so large."""
    faulthandler.dump_traceback_later(PATIENCE_S, exit=True, file=sys.__stderr__ or sys.stderr)
    return (yield)
