"""One server for all tests of this group, and what they measured at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real_triton.server import RealTriton, start_triton

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTriton]:
    with start_triton(tmp_path_factory.mktemp("triton")) as server:
        yield server


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> list[str]:
    """Lines to show at the end."""
    return request.config.stash.setdefault(MEASURED, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)
