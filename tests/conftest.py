"""What every test runs under: hypothesis profiles and a watchdog in real time.

The watchdog ends the run with the traceback of every thread when one test takes longer than any test may: a hang is a
failure, not a silence.
"""

from __future__ import annotations

import faulthandler
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
WATCHDOG_S = {"default": 120.0, "slow": 1800.0}[PROFILE]
REAL_STDERR = pytest.StashKey[int]()

# hypothesis's own deadline measures the machine, which others use too; the watchdog is the bound on time.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "slow",
    deadline=None,
    max_examples=10_000,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile(PROFILE)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real stderr: what goes to a captured one is lost when the watchdog ends the process."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        config.stash[REAL_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the copy of stderr."""
    os.close(config.stash[REAL_STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run one test, its fixtures included, under the watchdog."""
    faulthandler.dump_traceback_later(WATCHDOG_S, exit=True, file=item.config.stash[REAL_STDERR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
