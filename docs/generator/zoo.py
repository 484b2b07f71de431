"""The blocks of the page on what the zoo proves, from the kill matrix that is kept beside the kit's reports.

Nothing is hunted for it: `python -m conformance mutants --whole --seeds 8 --report` measures, this shows.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from conformance.catalogue import CHECKS
from conformance.power.matrix import median_share, read_matrix
from conformance.reporting.shipped import REPORTS, read_shipped
from conformance.zoo.blind_faults import CAUGHT_AT_ONCE, MUTANTS

from .markdown import code, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.power.matrix import Matrix, Row

ZOO = "zoo.json"


def part(name: str) -> str:
    """Return one of the parts; KeyError if there is none of this name."""
    parts = {"sums": sums, "checks": checks, "seeds": seeds, "references": references, "blind": blind}
    return parts[name](_matrix())


@cache
def _matrix() -> Matrix:
    return read_matrix((REPORTS / read_shipped().version / ZOO).read_bytes())


def sums(matrix: Matrix) -> str:
    """Return how many there are and what became of them."""
    caught, passed = len(matrix.rows) - len(matrix.escaped), len(matrix.references) - len(matrix.wronged)
    binding = [check_id for check_id in matrix.checks if check_id in matrix.binding]
    proved = [check_id for check_id in binding if matrix.made_for(check_id)]
    needed = [check_id for check_id in matrix.checks if matrix.alone(check_id)]
    return table(
        ["what", "figure"],
        [
            ["broken adapters, caught by the check whose rule they break", f"{caught} of {len(matrix.rows)}"],
            ["odd adapters, blamed by nobody", f"{passed} of {len(matrix.references)}"],
            ["checks that bind, with a mutant of their own", f"{len(proved)} of {len(binding)}"],
            ["checks played on each broken adapter", "all" if matrix.is_whole else "its own"],
            ["checks that alone catch something", f"{len(needed)} of {len(matrix.checks)}"],
            ["checks that catch nothing", ", ".join(matrix.idle) or "none"],
        ],
    )


def checks(matrix: Matrix) -> str:
    """Return what each check catches, and the mutants that nothing else would."""
    return table(
        ["check", "mutants made for it", "caught", "by nothing else", "which"],
        (
            (
                f"[{check_id}](checks.md#{check_id.lower()})",
                str(len(matrix.made_for(check_id))),
                str(len(matrix.caught_by(check_id))),
                str(len(alone := matrix.alone(check_id))),
                _names(alone),
            )
            for check_id in matrix.checks
            if check_id in CHECKS
        ),
    )


def seeds(matrix: Matrix) -> str:
    """Return how much of a catch is a matter of the schedule."""
    measured = [row for row in matrix.rows if row.seeds is not None]
    if not measured:
        return "The kept matrix has no schedules one by one: `--seeds` was not asked for."
    lucky = matrix.lucky
    sentence = f"{len(measured) - len(lucky)} of {len(measured)} are caught under every schedule that was tried."
    if not lucky:
        return sentence
    shares = f"Of the others the median is {median_share(lucky):.0%} of the schedules, the lowest "
    head = ["mutant", "check", "schedules that show it", "of the schedules of an ordinary run, at least"]
    return f"{sentence}\n{shares}{median_share(lucky[:1]):.0%}.\n\n{table(head, _lucky(lucky))}"


def _lucky(rows: Iterable[Row]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        if row.seeds is not None:
            of = row.seeds
            yield code(row.name), row.killed_by, f"{of.caught} of {of.of}", f"{of.fewest} of {of.played}"


def references(matrix: Matrix) -> str:
    """Return the odd adapters that conform."""
    return table(
        ["adapter", "what is odd about it", "made from", "advice it does not follow"],
        ((code(odd.name), odd.oddity, odd.base, ", ".join(odd.warns)) for odd in matrix.references),
    )


def blind(matrix: Matrix) -> str:
    """Return the mutants that were made without a look at the checks, and whether those caught them at once."""
    rows = {row.name: row for row in matrix.rows}
    return table(
        ["mutant", "what is wrong with it", "caught at the first hunt", "caught now by"],
        (
            (
                code(mutant.name),
                mutant.fault,
                "yes" if mutant.animal in CAUGHT_AT_ONCE else "no",
                ", ".join(rows[mutant.name].caught_by) if mutant.name in rows else "",
            )
            for mutant in MUTANTS
        ),
    )


def _names(rows: Iterable[Row]) -> str:
    return ", ".join(code(row.name) for row in rows)
