"""What a run shows on the terminal: progress while it runs, a block for each failure, a table, a verdict.

Lines are not wrapped and look the same in a file, without the colours. Everything passes through a mask first: a leak
that the kit found is not leaked again by the kit.
"""

from __future__ import annotations

from collections import Counter
from textwrap import fill
from typing import TYPE_CHECKING, final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from .failure import told
from .outcome import MEANINGS, Exit, Outcome
from .under_test import adapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from enum import StrEnum

    from rich.console import Console

    from specs import Specification

    from .check import Check, Scene
    from .outcome import CheckReport, SuiteReport
    from .under_test import UnderTest

    Mask = Callable[[str], str]

_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.NOT_TESTABLE: "bold red",
    Outcome.NONDETERMINISTIC: "bold red",
    Outcome.STALE_BASELINE: "bold red",
    Outcome.EXPECTED_FAILURE: "yellow",
    Outcome.KIT_ERROR: "bold magenta",
    Outcome.WARN: "yellow",
    Outcome.NOT_APPLICABLE: "dim",
}


@final
class Report:
    """Prints one run, and hides every canary that it is given."""

    def __init__(self, console: Console, mask: Mask) -> None:
        self._console = console
        self._mask = mask
        self._bar = Bar(console)
        self._groups: dict[str, StrEnum] = {}
        self._group: StrEnum | None = None
        self._played = 0

    def begin(self, adapter: str, checks: Sequence[Check], spec: Specification, seed: int, cases: int) -> None:
        """Say what is going to run; `cases` is how many there will be."""
        self.opening(f"adapter {adapter}", checks, spec, f"seed {seed}")
        for check in reversed(checks):
            self._groups |= {scene.name: check.group for scene in check.scenes}
        self._bar.start(cases)

    def opening(self, what: str, checks: Sequence[Check], spec: Specification, how: str) -> None:
        """Say what is tried, with what, and how."""
        rules = {requirement for check in checks for requirement in check.requirements}
        count = f"{_count(len(checks), 'check')} for {len(rules)} of {len(spec.requirements)} requirements"
        self.say(f"conformance of {what}: {count}, {how}", "bold")

    def heard(self, scene: Scene, done: int, total: int) -> None:
        """Show how far a scene has got; without a terminal, a line when a group of checks has been played."""
        if self._console.is_terminal:
            self._bar.show(scene.name, self._played + done)
            self._played += total if done == total else 0
        elif done == total:
            self._tally(scene, total)

    def _tally(self, scene: Scene, cases: int) -> None:
        group = self._groups[scene.name]
        if group is not self._group:
            self._flush()
        self._group = group
        self._played += cases

    def _flush(self) -> None:
        if self._group is not None:
            self.say(f"  {self._group:<16}{self._played:>5} played")
        self._group, self._played = None, 0

    def finish(
        self,
        report: SuiteReport,
        spec: Specification,
        took_s: float,
        *,
        is_verbose: bool,
        about: UnderTest | None = None,
    ) -> None:
        """Print failures, table and verdict; `about` is what was put to the test, if not an adapter."""
        self._bar.stop()
        self._flush()
        about = about or adapter(report.subject)
        for check in _told_whole(report):
            self.say("")
            self.block(told(check, spec, about, self._mask), _STYLES[check.outcome])
        self._tell_kit_errors(report, about.kind)
        self.say("")
        self._console.print(_checks_table(report.checks, self._mask) if is_verbose else _groups_table(report.checks))
        self._tell_excused([each for each in report.checks if each.reason])
        self._tell_meanings(report)
        for check in report.having(Outcome.FAIL):
            self.say(f"  {check.check.id}  {check.outcome}: {check.check.title}", _STYLES[check.outcome])
        self.say("")
        self.say(*_verdict(report, took_s))

    def block(self, text: str, style: str) -> None:
        """Print a block with its first line in colour."""
        head, _, rest = text.partition("\n")
        self.say(head, style)
        self.say(rest)

    def say(self, text: str, style: str = "") -> None:
        """Print a text as it is, masked."""
        self._console.print(Text(self._mask(text), style=style), soft_wrap=True)

    def _tell_kit_errors(self, report: SuiteReport, kind: str) -> None:
        for case in report.kit_errors[:3]:
            self.say("")
            self.say(f"KIT ERROR in {case.scene}/{case.case}: this is a fault of the kit, not of the {kind}", "magenta")
            self.say(case.kit_error or "")

    def _tell_excused(self, reports: Sequence[CheckReport]) -> None:
        """Print a line for each check that has a reason; those that share one, together."""
        alike: dict[tuple[Outcome, str], list[str]] = {}
        for each in reports:
            alike.setdefault((each.outcome, each.reason), []).append(each.check.id)
        for (outcome, reason), ids in alike.items():
            if len(ids) == 1:
                self.say(f"  {ids[0]}  {outcome}: {reason}", _STYLES[outcome])
                continue
            few = fill(", ".join(ids), 108, initial_indent="    ", subsequent_indent="    ")
            self.say(f"  {outcome}: {reason}:\n{few}", _STYLES[outcome])

    def _tell_meanings(self, report: SuiteReport) -> None:
        """Say what the rarer outcomes mean, and whether they count."""
        there = {each.outcome for each in report.checks} - {Outcome.PASS, Outcome.FAIL}
        for outcome in (each for each in Outcome if each in there):
            self.say(f"  {outcome}: {MEANINGS[outcome]}", "dim")


@final
class Bar:
    """How far a run has got, on a terminal; elsewhere it does nothing."""

    def __init__(self, console: Console) -> None:
        self._is_shown = console.is_terminal
        self._progress = Progress(
            TextColumn("  {task.description:<24}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._task: TaskID | None = None

    def start(self, total: int) -> None:
        """Begin; there will be `total` steps."""
        if self._is_shown:
            self._task = self._progress.add_task("", total=total)
            self._progress.start()

    def show(self, what: str, done: int) -> None:
        """Show what goes on and how much is done."""
        if self._task is not None:
            self._progress.update(self._task, description=what, completed=done)

    def stop(self) -> None:
        """Take it away."""
        if self._is_shown:
            self._progress.stop()


def _told_whole(report: SuiteReport) -> Iterator[CheckReport]:
    """Yield the checks to tell with all they saw; of those that were not the same twice, the first.

    Failures come last: they stand where a person looks first.
    """
    yield from report.having(Outcome.WARN)
    yield from report.having(Outcome.FAIL)
    yield from (each for each in report.having(Outcome.STALE_BASELINE) if each.broken_by)
    yield from report.having(Outcome.NONDETERMINISTIC)[:1]


def _groups_table(reports: Sequence[CheckReport]) -> Table:
    there = {each.outcome for each in reports} | {Outcome.PASS, Outcome.FAIL}
    outcomes = [outcome for outcome in Outcome if outcome in there]
    table = Table("group", box=None, pad_edge=False)
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for group in dict.fromkeys(each.check.group for each in reports):
        counts = Counter(each.outcome for each in reports if each.check.group is group)
        if counts:
            table.add_row(group, *(_cell(outcome, counts[outcome]) for outcome in outcomes))
    return table


def _cell(outcome: Outcome, count: int) -> Text:
    return Text(str(count), _STYLES[outcome]) if count else Text(".", "dim")


def _checks_table(reports: Sequence[CheckReport], mask: Mask) -> Table:
    table = Table("check", "level", "outcome", "cases", "rule", box=None, pad_edge=False)
    for each in reports:
        outcome = Text(each.outcome, _STYLES[each.outcome])
        table.add_row(each.check.id, each.check.level, outcome, str(each.executed), mask(each.check.title))
    return table


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _verdict(report: SuiteReport, took_s: float) -> tuple[str, str]:
    counts = Counter(each.outcome for each in report.checks)
    tally = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    ran = f"{tally}; {_count(report.cases, 'case')} in {took_s:.1f} s"
    match report.exit_code:
        case Exit.CONFORMING:
            extent = ", as far as a running engine shows" if any(each.is_out_of_reach for each in report.checks) else ""
            return f"{report.subject} conforms{extent}: {ran}", "bold green"
        case Exit.NOT_CONFORMING:
            return f"{report.subject} does not conform: {ran}", "bold red"
        case Exit.KIT_ERROR:
            return f"no verdict on {report.subject}, the kit itself failed: {ran}", "bold magenta"
        case _:
            return f"no verdict on {report.subject}, too little could be tried: {ran}", "bold yellow"
