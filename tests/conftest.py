"""What every test runs under: hypothesis profiles and a watchdog in real time.

The watchdog ends the run with every thread's traceback when one test takes longer than any test may, so that a hang is a
failure and not a silence.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

WATCHDOG_S = {"default": 120.0, "slow": 1800.0}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")

# The deadline of hypothesis measures the machine, which other work shares; the watchdog is the bound on time.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "slow",
    deadline=None,
    max_examples=10_000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile(PROFILE)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run one test, its fixtures included, under the watchdog."""
    faulthandler.dump_traceback_later(WATCHDOG_S[PROFILE], exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
