"""`conformance mutants`: what it takes, what it prints, and how it exits."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from conformance.__main__ import main
from conformance.outcome import Exit
from conformance.power.matrix import Matrix, Row, Seeds, read_matrix
from conformance.zoo_report import ZooReport

if TYPE_CHECKING:
    from collections.abc import Callable


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["mutants", *argv])
    return int(left.value.code or 0)


def test_one_check_is_proved_by_the_mutants_made_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check", "FRM-12") == Exit.CONFORMING
    out = capsys.readouterr().out
    assert {line.split()[1] for line in out.splitlines() if line.startswith("caught")} == {"FRM-12"}
    assert "odd ones" in out


def test_it_says_what_else_catches_one_and_under_how_many_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reads-comments-aloud", "--whole", "--seeds", "2") == Exit.CONFORMING
    out = capsys.readouterr().out
    assert "[2 of 2 schedules]  (also ERR-01)" in out
    assert "ERR-01  +" in out
    assert "FRM-12  #" in out
    assert "1 of 1 are caught under every schedule that was tried" in out


def test_pairs_are_one_around_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reads-comments-aloud", "--pairs", "2") == Exit.CONFORMING
    assert sum(" in " in line for line in capsys.readouterr().out.splitlines()) >= 2


def test_as_json_it_is_nothing_but_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reads-comments-aloud", "--format", "json") == Exit.CONFORMING
    matrix = read_matrix(capsys.readouterr().out.encode())
    assert [(row.name, row.caught_by, row.is_right) for row in matrix.rows] == [
        ("reads-comments-aloud", ("FRM-12",), True)
    ]


def test_processes_share_the_work_and_keep_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check", "FRM-12", "--jobs", "2") == Exit.CONFORMING
    shared = capsys.readouterr().out
    assert run("--check", "FRM-12") == Exit.CONFORMING
    assert capsys.readouterr().out == shared


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--report",), "--report keeps a --whole matrix"),
        (("--report", "--whole", "reads-comments-aloud"), "of all animals"),
        (("--seeds", "0"), "no number from 1 up"),
        (("--jobs", "many"), "no number from 1 up"),
        (("reads-comments-alout",), "did you mean reads-comments-aloud?"),
        (("--check", "FRM-99"), "FRM-99"),
    ],
)
def test_it_says_what_is_wrong_with_how_it_was_asked(
    argv: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*argv) == Exit.USAGE
    assert says in capsys.readouterr().err


GOOD = Row(name="good", fault="Is broken.", base="mock", killed_by="A", caught_by=("A",), is_right=True)


def missed() -> Row:
    return Row(name="missed", fault="Is broken.", base="mock", killed_by="A", caught_by=("B",), is_right=False)


def lucky() -> Row:
    seeds = Seeds(caught=1, of=8, played=4, fewest=0)
    return Row(
        name="lucky", fault="Is broken.", base="mock", killed_by="A", caught_by=("A",), is_right=True, seeds=seeds
    )


@pytest.mark.parametrize(
    ("row", "binding", "says"),
    [
        (missed, "A", "1 of 2 broken adapters caught"),
        (lucky, "A", "an ordinary run may miss: lucky"),
        (lambda: GOOD, "B", "MUST checks that catch nothing: B"),
    ],
)
def test_what_is_not_proved_is_said_last(row: Callable[[], Row], binding: str, says: str) -> None:
    printed = StringIO()
    report = ZooReport(Console(file=printed, width=200), lambda text: text)
    hunt = Matrix(
        version="1", is_whole=True, checks=("A", "B"), binding=frozenset({binding}), rows=(GOOD, row()), references=()
    )
    assert not report.finish(hunt, is_all=True)
    assert says in printed.getvalue()


def test_a_whole_hunt_in_which_all_is_well_is_a_proof() -> None:
    report = ZooReport(Console(file=StringIO()), lambda text: text)
    hunt = Matrix(version="1", is_whole=True, checks=("A",), binding=frozenset({"A"}), rows=(GOOD,), references=())
    assert report.finish(hunt, is_all=True)
