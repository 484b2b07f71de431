"""Every way to break a project has its own code, at the file and line of the fault, and nothing else is blamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.gate import baseline
from conformance.gate.codes import CODES, TOO_LITTLE, Severity
from conformance.gate.verdict import judge
from conformance.outcome import Exit
from specs.__main__ import write_lock

from .breaking import checks, runs
from .broken_code import CODE
from .broken_documents import AGREEMENTS, DROPPED, LOCKS, UNREADABLE
from .broken_suites import ENTRY, EXCEPTIONS, FAILED, PINNED, PROOFS, extra, one
from .project import CHECKS, TODAY, edit, gathered, write

if TYPE_CHECKING:
    from pathlib import Path

    from .breaking import Broken

ALL = [*UNREADABLE, *DROPPED, *LOCKS, *AGREEMENTS, *PROOFS, *PINNED, *EXCEPTIONS, *CODE]


@pytest.mark.req("GATE-1001", "GATE-1003")
def test_a_project_in_which_everything_agrees_is_not_blamed(tmp_path: Path) -> None:
    verdict = judge(gathered(write(tmp_path)))
    assert list(verdict.findings) == []
    assert verdict.exit_code is Exit.CONFORMING


@pytest.mark.req(
    "GATE-1001", "GATE-1001a", "GATE-1001b", "GATE-1001c", "GATE-1001d", "GATE-1002", "GATE-1003", "GATE-1003a",
    "GATE-1004", "GATE-1004a", "GATE-1005", "GATE-1005a", "GATE-1005b", "GATE-1005d", "GATE-1006",
)  # fmt: skip
@pytest.mark.parametrize("broken", ALL, ids=lambda broken: f"{broken.code} {broken.name}")
def test_what_is_broken_is_found_where_it_is_and_nothing_else(broken: Broken, tmp_path: Path) -> None:
    verdict = broken.judged(tmp_path)
    told = [(each.code_id, each.place.file.removeprefix(f"{tmp_path}/"), each.place.line) for each in verdict.findings]
    assert told == [(broken.code, broken.at[0], broken.line(tmp_path))], [each.message for each in verdict.findings]
    wrong = Exit.TOO_LITTLE_RAN if broken.code == TOO_LITTLE else Exit.NOT_CONFORMING
    is_warning = CODES[broken.code].severity is Severity.WARNING
    assert verdict.exit_code is (Exit.CONFORMING if is_warning else wrong)


@pytest.mark.req("GATE-1002")
def test_the_last_day_of_an_exception_still_counts(tmp_path: Path) -> None:
    write(tmp_path)
    edit(tmp_path, "specs/proof.md", "2026-01-31", TODAY.isoformat())
    assert write_lock(tmp_path / "specs") == 0
    (tmp_path / baseline.FILE).write_text(ENTRY.replace("2026-01-31", TODAY.isoformat()), encoding="utf-8")
    project = runs(one(CK_01=FAILED))(gathered(tmp_path))
    assert list(judge(project).findings) == []


@pytest.mark.req("GATE-1005a")
def test_advice_that_was_not_checked_is_no_lack_of_evidence(tmp_path: Path) -> None:
    more = [extra(f"CK-1{n}", "EV-1004") for n in range(9)]
    verdict = judge(checks(*CHECKS, *more)(gathered(write(tmp_path))))
    assert list(verdict.findings) == []


def test_every_code_is_given_for_something() -> None:
    assert {broken.code for broken in ALL} == CODES.keys() - {"SPEC402"}, "SPEC402 is in test_evidence.py"
