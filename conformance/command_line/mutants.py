"""`conformance mutants`: prove the kit on broken and on odd adapters, and measure how well it is proved."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

import specs
from conformance.api import mask_for
from conformance.catalogue import CHECKS
from conformance.check import Level
from conformance.loading import unknown
from conformance.mutants import MUTANTS, REFERENCES
from conformance.outcome import Exit
from conformance.power.matrix import Matrix
from conformance.power.measuring import Wish, acquit, caught_pair, measure, sampled_pairs
from conformance.reporting.recording import suite
from conformance.reporting.shipped import REPORTS
from conformance.zoo_report import ZooReport

from .kinds import check_named
from .output import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    from conformance.check import Check
    from conformance.zoo.animals import Mutant, Reference

    In = TypeVar("In")
    Out = TypeVar("Out")

ZOO = "zoo.json"
"""The kept matrix, beside the reports of the shipped adapters."""

_PAIRS_SEED = 1
ABOUT = """\
Without options each broken adapter is hunted by the check whose rule it breaks, and each odd one tries all checks.
The whole matrix takes minutes; --report keeps it, and docs/reference/kill-matrix.md shows what was kept."""


class MutantsArguments(argparse.Namespace):
    """What was given."""

    names: list[str]
    check: Check | None
    whole: bool
    seeds: int
    pairs: int
    jobs: int
    format: str
    report: bool


def add_mutants_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `mutants` can be told."""
    parser.add_argument("names", nargs="*", type=_animal, metavar="NAME", help="these animals only")
    parser.add_argument("--check", type=check_named, metavar="ID", help="only the mutants of one check")
    parser.add_argument("--whole", action="store_true", help="every check on every mutant: the whole kill matrix, slow")
    parser.add_argument(
        "--seeds", type=_count, default=0, metavar="K", help="play each mutant under K schedules, one by one"
    )
    parser.add_argument(
        "--pairs", type=_count, default=0, metavar="N", help="hunt N pairs of mutants, one around the other"
    )
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="processes to do it with (default 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default text)")
    parser.add_argument("--report", action="store_true", help=f"keep what was found as {ZOO} beside the kept reports")


def mutants(given: MutantsArguments) -> int:
    """Hunt every broken adapter and try every odd one."""
    if given.report and (given.names or given.check or not given.whole):
        sys.stderr.write("conformance mutants: --report keeps a --whole matrix, of all animals\n")
        return Exit.USAGE
    out = console()
    report = ZooReport(out, mask_for(0), is_quiet=given.format == "json")
    with _workers(given.jobs) as work:
        matrix = _hunt(given, report, work)
        _hunt_pairs(given, report, work)
    if given.format == "json":
        out.print(matrix.to_json().decode(), end="", soft_wrap=True, markup=False)
    if given.report:
        (REPORTS / matrix.version / ZOO).write_bytes(matrix.to_json())
    is_proved = report.finish(matrix, is_all=len(matrix.rows) == len(MUTANTS))
    return Exit.CONFORMING if is_proved else Exit.NOT_CONFORMING


def _hunt(given: MutantsArguments, report: ZooReport, work: _Work) -> Matrix:
    rows, odd = [], []
    wish = Wish(is_whole=given.whole, seeds=given.seeds)
    for kill, row in _followed("broken adapters", work(partial(measure, wish=wish), _mutants(given)), given):
        report.hunted(kill, row)
        rows.append(row)
    for blaming, code, each in _followed("odd adapters", work(acquit, _references(given)), given):
        report.tried(each, blaming, code)
        odd.append(each)
    return Matrix(
        version=suite(specs.load()).version,
        is_whole=given.whole,
        checks=tuple(CHECKS),
        binding=frozenset(check.id for check in CHECKS.values() if check.level is Level.MUST),
        rows=tuple(rows),
        references=tuple(odd),
    )


def _hunt_pairs(given: MutantsArguments, report: ZooReport, work: _Work) -> None:
    pairs = sampled_pairs(given.pairs, _PAIRS_SEED)
    caught = _followed("pairs", work(_caught, pairs), given)
    for (one, other), by in zip(pairs, caught, strict=True):
        report.paired(one, other, by)


def _caught(pair: tuple[Mutant, Mutant]) -> list[str]:
    return caught_pair(*pair)


def _mutants(given: MutantsArguments) -> list[Mutant]:
    of_check = [each for each in MUTANTS if given.check is None or each.killed_by == given.check.id]
    return [each for each in of_check if not given.names or each.name in given.names]


def _references(given: MutantsArguments) -> list[Reference]:
    if given.check is not None:
        return []
    return [each for each in REFERENCES if not given.names or each.name in given.names]


class _Work:
    """Does the same with many things, in order, here or in other processes."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool

    def __call__(self, does: Callable[[In], Out], things: Sequence[In]) -> Iterable[Out]:
        return map(does, things) if self._pool is None else self._pool.map(does, things)


@contextmanager
def _workers(jobs: int) -> Iterator[_Work]:
    if jobs <= 1:
        yield _Work(None)
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield _Work(pool)


def _followed(what: str, results: Iterable[Out], given: MutantsArguments) -> Iterable[Out]:
    """Show how far it is where nothing else is printed meanwhile."""
    if given.format == "text":
        return results
    return track(results, what, console=Console(stderr=True), transient=True)


def _animal(name: str) -> str:
    names = [*(mutant.name for mutant in MUTANTS), *(reference.name for reference in REFERENCES)]
    if name in names:
        return name
    raise argparse.ArgumentTypeError(unknown("animal", name, names))


def _count(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 up")
