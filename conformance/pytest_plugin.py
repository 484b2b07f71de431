"""A pytest plugin: `pytest --conformance MODULE:NAME` holds a subject to the checks, each of them one test.

Without the option nothing happens, and nothing of the kit is imported. The chosen checks are run together when the
first of them is due, because scenes are shared. A check's failure is the kit's own block.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast, final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .gate.facts import Expected
    from .outcome import SuiteReport
    from .subject import Subject

_NAME = "conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup(_NAME, "conformance of engine adapters")
    group.addoption("--conformance", metavar="MODULE:NAME", help="hold this subject to the conformance checks")
    group.addoption("--conformance-profile", default="full", metavar="NAME", help="the checks of this profile only")
    group.addoption("--conformance-seed", type=int, default=0, metavar="N", help="schedules and canaries (default 0)")
    group.addoption("--conformance-baseline", type=Path, metavar="FILE", help="failures that are known")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known that the gate reads, so that no project has to."""
    config.addinivalue_line("markers", "req(*ids): the requirements that a test holds the code to")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each check, and one for the verdict."""
    name = cast("str | None", config.getoption("--conformance"))
    if name is not None:
        suite = _Suite.made(session, name)
        config.stash[_SUITE] = suite
        items.extend(suite.collect())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where to begin, if many checks failed and have something in common."""
    suite = config.stash.get(_SUITE, None)
    begin = None if suite is None else suite.where_to_begin()
    if begin is not None:
        terminalreporter.write_line(f"{_NAME}: {begin}")


@final
class _Suite(pytest.Collector):
    """The checks of one subject, and the run of those that were chosen."""

    subject: Subject
    known: Sequence[Expected]
    _report: SuiteReport | None = None

    @classmethod
    def made(cls, session: pytest.Session, name: str) -> _Suite:
        """Return the suite for the subject of that name; raise `UsageError` if there is none."""
        from .baseline import BadBaseline, read_baseline  # noqa: PLC0415 - only where it is asked for
        from .loading import NoSubject, find_subject  # noqa: PLC0415 - likewise
        from .rehearsal import CannotPlay, rehearse  # noqa: PLC0415 - likewise

        path = cast("Path | None", session.config.getoption("--conformance-baseline"))
        suite = cls.from_parent(session, name=_NAME, nodeid=_NAME)
        try:
            suite.subject = find_subject(name)
            suite.known = () if path is None else read_baseline(path)
            rehearse(suite.subject)
        except (NoSubject, CannotPlay) as wrong:
            raise pytest.UsageError(f"--conformance: {wrong}") from wrong
        except BadBaseline as wrong:
            raise pytest.UsageError(f"--conformance-baseline: {wrong}") from wrong
        return suite

    def collect(self) -> Iterable[pytest.Item]:
        """Return a test for each check of the profile, and one for the verdict."""
        from .catalogue import CHECKS  # noqa: PLC0415 - only where it is asked for
        from .selection import PROFILES, in_profile  # noqa: PLC0415 - likewise

        profile = str(self.config.getoption("--conformance-profile"))
        if profile not in PROFILES:
            raise pytest.UsageError(f"--conformance-profile: one of {', '.join(PROFILES)}, not {profile!r}")
        for check in in_profile(CHECKS.values(), profile):
            yield _CheckItem.from_parent(self, name=check.id)
        yield _VerdictItem.from_parent(self, name="verdict")

    def report(self) -> SuiteReport:
        """Run the checks that pytest has chosen, once; return how they came out."""
        if self._report is None:
            self._report = self._run()
        return self._report

    def where_to_begin(self) -> str | None:
        """Return what to mend first; None if nothing was run, or nothing is common to what failed."""
        from .api import mask_for  # noqa: PLC0415 - only where it is asked for
        from .beginning import where_to_begin  # noqa: PLC0415 - likewise

        begin = None if self._report is None else where_to_begin(self._report)
        return None if self._report is None or begin is None else mask_for(self._report.seed)(begin)

    def _run(self) -> SuiteReport:
        from .api import run_suite  # noqa: PLC0415 - only where it is asked for

        seed = cast("int", self.config.getoption("--conformance-seed"))
        return run_suite(self.subject, only=self.chosen(), seed=seed, baseline=self.known)

    def chosen(self) -> list[str]:
        """Return the ids of the checks that are still among the tests to run."""
        return [item.name for item in self.session.items if isinstance(item, _CheckItem) and item.suite is self]


class _Item(pytest.Item):
    """A test whose failure is told in the kit's words alone."""

    @property
    def suite(self) -> _Suite:
        """The suite that it is of."""
        return cast("_Suite", self.parent)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Return the kit's own text, without the way through the kit; anything else as pytest has it."""
        if isinstance(excinfo.value, AssertionError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return what the test is called in reports."""
        return self.config.rootpath, None, f"{_NAME}: {self.name} of {self.suite.subject.name}"


@final
class _CheckItem(_Item):
    """One check."""

    def runtest(self) -> None:
        """Pass, fail, skip or fail as expected, as the check came out."""
        from .api import NotConforming, describe, no_verdict  # noqa: PLC0415 - only where it is asked for
        from .outcome import FAILURES, Outcome  # noqa: PLC0415 - likewise

        report = self.suite.report()
        check = next(each for each in report.checks if each.check.id == self.name)
        if check.outcome in {*FAILURES, Outcome.KIT_ERROR}:
            raise NotConforming(describe(check, report) or no_verdict(report))
        if check.outcome is Outcome.NOT_APPLICABLE:
            pytest.skip(check.reason)
        if check.outcome is Outcome.EXPECTED_FAILURE:
            pytest.xfail(check.reason)
        if check.outcome is Outcome.WARN:
            self.add_report_section("call", _NAME, describe(check, report))


@final
class _VerdictItem(_Item):
    """The run as a whole: nothing broke beside the chosen checks, the kit is sound, and enough was tried."""

    def runtest(self) -> None:
        """Fail for what no other test tells."""
        from .api import NotConforming, describe, no_verdict  # noqa: PLC0415 - only where it is asked for
        from .outcome import FAILURES, Exit  # noqa: PLC0415 - likewise

        report, chosen = self.suite.report(), self.suite.chosen()
        others = [each for each in report.having(*FAILURES) if each.check.id not in chosen]
        if others:
            raise NotConforming("\n\n".join(describe(each, report) for each in others))
        if report.exit_code in {Exit.KIT_ERROR, Exit.TOO_LITTLE_RAN}:
            raise NotConforming(no_verdict(report))


_SUITE = pytest.StashKey[_Suite]()
