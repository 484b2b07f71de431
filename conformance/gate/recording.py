"""A pytest plugin that writes down which requirements' tests passed, as evidence for the gate.

    pytest -p conformance.gate.recording --gate-evidence tests.json
    conformance gate --evidence tests.json

A requirement's tests are those that carry `@pytest.mark.req("ID")`. Nothing is recorded without the option.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, cast, final

import specs

from .evidence import text
from .facts import Evidence, TestRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("conformance")
    group.addoption("--gate-evidence", type=Path, metavar="FILE", help="write the tests of requirements as evidence")
    group.addoption("--gate-specs", type=Path, metavar="DIR", help="folder of the documents (default: the kit's own)")


def pytest_configure(config: pytest.Config) -> None:
    """Start recording where that is asked for."""
    path = cast("Path | None", config.getoption("--gate-evidence"))
    folder = cast("Path | None", config.getoption("--gate-specs"))
    if path is not None:
        config.pluginmanager.register(Recorder(path, specs.load() if folder is None else specs.load_from(folder)))


@final
class Recorder:
    """Counts, for each requirement, the tests that passed and those that did not."""

    def __init__(self, path: Path, spec: specs.Specification) -> None:
        self._path = path
        self._spec = spec
        self._ids: dict[str, frozenset[str]] = {}
        self._passed: Counter[str] = Counter()
        self._other: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Remember which requirements each test names."""
        for item in items:
            self._ids[item.nodeid] = frozenset(str(id) for mark in item.iter_markers("req") for id in mark.args)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when it was called, or could not be."""
        ids = self._ids.get(report.nodeid, frozenset())
        if report.when == "call" and report.passed:
            self._passed.update(ids)
        elif not report.passed:
            self._other.update(ids)

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        ids = sorted({*self._passed, *self._other})
        tests = {id: TestRuns(self._passed[id], self._other[id]) for id in ids}
        self._path.write_text(text(Evidence(tests=tests), self._spec), encoding="utf-8")
