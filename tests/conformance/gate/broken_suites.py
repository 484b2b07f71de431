"""Suites, evidence and exceptions that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from conformance.check import Level
from conformance.gate import baseline
from conformance.gate.facts import CheckFact, Evidence, MutantFact, Pin, Run, TestFact, TestRuns
from conformance.gate.finding import Finding, Place
from conformance.outcome import Outcome
from specs import Tombstone, lock_text

from .breaking import Broken, checks, document, mutants, pins, runs, suite
from .project import CHECKS, MUTANTS, PASSED, PINS, RUNS

if TYPE_CHECKING:
    from conformance.gate.facts import Project

FIRST, SECOND, *OTHERS = CHECKS
TESTS = "tests/test_it.py"
PINNED_AT = Place("pins.toml", 9)
FAILED = Run(Outcome.FAIL, 1)
ALL_RAN = {id: TestRuns(passed=1) for id in ("SV-1001", "SV-1002", "EV-1003")}
ENTRY = '[[expected]]\nadapter = "one"\ncheck = "CK-01"\nreason = "known"\nuntil = 2026-01-31\n'


def more_checks(*more: CheckFact) -> tuple[CheckFact, ...]:
    return (*CHECKS, *more)


def extra(id: str, *requirements: str) -> CheckFact:
    """Return a check that was executed and catches nothing that another does not; a SHOULD, so nobody asks for more."""
    return CheckFact(id=id, requirements=requirements, place=Place("checks.py", 9), level=Level.SHOULD)


def one(**changed: Run) -> dict[str, dict[str, Run]]:
    """Return the runs with other ones of the first adapter."""
    return {**RUNS, "one": RUNS["one"] | {id.replace("_", "-"): run for id, run in changed.items()}}


def others(index: int) -> tuple[Pin, ...]:
    """Return all pins but one."""
    return (*PINS[:index], *PINS[index + 1 :])


def unreadable_pins(project: Project) -> Project:
    """Let a merge have left a mark in the file of pins."""
    return replace(project, troubles=[Finding("SPEC120", Place("pins.toml", 8), "pins.toml", "'=======' is no pin")])


def named(*tests: TestFact) -> object:
    return lambda project: replace(project, tests=[*project.tests, *tests])


def buried(project: Project) -> Project:
    """Let a test name an id that was taken out."""
    assert project.lock is not None
    grave = Tombstone(id="SV-0999", revision=1, text="It MUST be.")
    lock = msgspec.structs.replace(project.lock, removed=(grave,))
    test = TestFact("SV-0999", "test_it.py::test_old", Place(TESTS, 1))
    return replace(project, lock=lock, lock_text=lock_text(lock), tests=[*project.tests, test])


def excluded(name: str, code: str, on: str, old: str, new: str) -> Broken:
    return document(name, code, "proof.md", on, old, new)


def expected(name: str, code: str, old: str = "", new: str = "", run: Run = FAILED) -> Broken:
    """Let the first adapter fail a check and a baseline say so, with something wrong about it."""
    return Broken(
        name=name,
        code=code,
        at=(baseline.FILE, ""),
        files={baseline.FILE: ENTRY.replace(old, new)},
        facts=runs(one(CK_01=run)),
    )


ROW = 'adapter = "one", check = "CK-01", reason = "known"'


def bad_baseline(name: str, text: str | bytes, line: str, *, fails: bool = False) -> Broken:
    """Write a baseline of which something cannot be read."""
    facts = runs(one(CK_01=FAILED)) if fails else runs(RUNS)
    return Broken(name=name, code="SPEC209", at=(baseline.FILE, line), files={baseline.FILE: text}, facts=facts)


PROOFS = [
    suite("a MUST without a check", "SPEC101", ("specs/events.md", "EV-1001"), checks(SECOND, *OTHERS)),
    suite(
        "a MUST that only a SHOULD checks",
        "SPEC101",
        ("specs/events.md", "EV-1001"),
        checks(replace(FIRST, level=Level.SHOULD), SECOND, *OTHERS),
    ),
    Broken(
        name="a MUST without a test",
        code="SPEC102",
        at=("specs/service.md", "SV-1002"),
        edit=(TESTS, 'mark.req("SV-1002")', "mark.slow"),
    ),
    Broken(
        name="a MUST whose test is always skipped",
        code="SPEC102",
        at=("specs/service.md", "SV-1002"),
        edit=(TESTS, "class TestBounds", '@pytest.mark.skip("later")\nclass TestBounds'),
    ),
    Broken(
        name="an id that only a comment of a test names",
        code="SPEC102",
        at=("specs/service.md", "SV-1002"),
        edit=(TESTS, 'pytest.param(1, marks=pytest.mark.req("SV-1002"))', '1  # pytest.mark.req("SV-1002")\n    '),
    ),
    Broken(
        name="a MUST whose tests are all skipped",
        code="SPEC102",
        at=("specs/service.md", "SV-1002"),
        edit=(TESTS, "class TestBounds:", "class TestBounds:\n    pytestmark = [pytest.mark.skip]\n"),
    ),
    Broken(
        name="a MUST whose test is skipped on a condition that always holds",
        code="SPEC102",
        at=("specs/service.md", "SV-1002"),
        edit=(TESTS, "    @pytest.mark.p", '    @pytest.mark.skipif(True, reason="")\n    @pytest.mark.p'),
    ),
    Broken(
        name="a mark on no test",
        code="SPEC121",
        at=(TESTS, "EV-1004"),
        edit=(TESTS, "class", '@pytest.mark.req("EV-1004")\ndef helper():\n    pass\n\n\nclass'),
    ),
    Broken(
        name="a mark that is not written out",
        code="SPEC312",
        at=(TESTS, "*IDS"),
        edit=(TESTS, '"EV-1003")', '"EV-1003", *IDS)'),
    ),
    Broken(
        name="a mark of nothing",
        code="SPEC312",
        at=(TESTS, "req()"),
        edit=(TESTS, "def test_answers", "@pytest.mark.req()\ndef test_answers"),
    ),
    suite("a MUST check that never executed", "SPEC103", ("checks.py", "1"), runs(one(CK_01=Run(Outcome.PASS, 0)))),
    suite("a check for nothing", "SPEC104", ("checks.py", "9"), checks(*more_checks(extra("CK-09")))),
    suite("a check for no requirement", "SPEC105", ("checks.py", "9"), checks(*more_checks(extra("CK-09", "EV-9999")))),
    suite(
        "a check that takes advice for law",
        "SPEC106",
        ("checks.py", "1"),
        checks(replace(FIRST, requirements=("EV-1001", "EV-1004")), SECOND, *OTHERS),
    ),
    suite(
        "a check that takes leave for law",
        "SPEC106",
        ("checks.py", "5"),
        checks(*(replace(check, requirements=("EV-1005",)) if check.id == "CK-05" else check for check in CHECKS)),
    ),
    suite("a MUST check that no animal proves", "SPEC107", ("checks.py", "1"), mutants(*MUTANTS[1:])),
    suite(
        "an animal for no check",
        "SPEC108",
        ("zoo.py", "9"),
        mutants(*MUTANTS, MutantFact(name="is-lost", killed_by="CK-99", place=Place("zoo.py", 9))),
    ),
    suite(
        "an animal twice",
        "SPEC122",
        ("zoo.py", "9"),
        mutants(*MUTANTS, replace(MUTANTS[0], place=Place("zoo.py", 9))),
    ),
    suite(
        "an animal that escapes",
        "SPEC109",
        ("zoo.py", "9"),
        lambda project: replace(
            project,
            mutants=(*MUTANTS, MutantFact(name="is-quick", killed_by="CK-01", place=Place("zoo.py", 9))),
            evidence=Evidence(
                checks=RUNS, mutants={each.name: (each.killed_by,) for each in MUTANTS} | {"is-quick": ("CK-03",)}
            ),
        ),
    ),
    suite("an adapter that fails", "SPEC110", ("checks.py", "1"), runs(one(CK_01=FAILED))),
    *(
        suite(
            f"an adapter that comes out as {outcome}", "SPEC110", ("checks.py", "1"), runs(one(CK_01=Run(outcome, 1)))
        )
        for outcome in (Outcome.NOT_TESTABLE, Outcome.NONDETERMINISTIC, Outcome.STALE_BASELINE)
    ),
    suite("a fault of the kit", "SPEC110", ("checks.py", "1"), runs(one(CK_01=Run(Outcome.KIT_ERROR, 1)))),
    Broken(
        name="a test for no requirement",
        code="SPEC111",
        at=(TESTS, "SV-9999"),
        edit=(TESTS, '"EV-1003")', '"EV-1003", "SV-9999")'),
    ),
    suite("a test for a grave", "SPEC112", (TESTS, ""), buried),
    suite(
        "more advice without proof",
        "SPEC113",
        ("specs/proof.md", "unproved_advice"),
        checks(FIRST, replace(SECOND, requirements=("EV-1002",)), *OTHERS),
    ),
    document("less advice without proof", "SPEC114", "proof.md", "unproved_advice", "advice = 0", "advice = 1"),
    suite(
        "tests that never passed",
        "SPEC115",
        (TESTS, "SV-1002"),
        runs(RUNS, tests=ALL_RAN | {"SV-1002": TestRuns(other=3)}),
    ),
    suite(
        "tests that were never run",
        "SPEC115",
        (TESTS, "SV-1002"),
        runs(RUNS, tests={"SV-1001": TestRuns(1), "EV-1003": TestRuns(1)}),
    ),
    suite("two checks with one id", "SPEC116", ("checks.py", "9"), checks(*more_checks(extra("CK-06", "EV-1004")))),
    suite("evidence for no check", "SPEC403", ("evidence", ""), runs({**RUNS, "three": {"CK-98": PASSED}})),
    suite(
        "evidence for no animal",
        "SPEC403",
        ("evidence", ""),
        runs(RUNS, {each.name: (each.killed_by,) for each in MUTANTS} | {"is-lost": ()}),
    ),
    suite(
        "evidence for no requirement", "SPEC403", ("evidence", ""), runs(RUNS, tests=ALL_RAN | {"SV-0998": TestRuns(1)})
    ),
    suite("no evidence at all", "SPEC401", ("evidence", ""), runs({})),
    suite("little evidence", "SPEC401", ("evidence", ""), runs({"one": {"CK-01": PASSED}})),
    Broken(
        name="tests that do not parse", code="SPEC311", at=("tests/test_b.py", ""), files={"tests/test_b.py": "def ("}
    ),
]
PINNED = [
    suite("a check that is not pinned", "SPEC117", ("checks.py", "1"), pins(*PINS[1:])),
    suite("a check of which one requirement is not pinned", "SPEC117", ("checks.py", "2"), pins(PINS[0], *PINS[2:])),
    suite("a check for an older text", "SPEC118", ("checks.py", "2"), pins(replace(PINS[1], revision=1), *others(1))),
    suite("a check for a text to come", "SPEC118", ("checks.py", "1"), pins(replace(PINS[0], revision=2), *others(0))),
    Broken(
        name="a requirement that was revised under its check",
        code="SPEC118",
        at=("checks.py", "1"),
        edit=(
            "specs/events.md",
            "[EV-1001 r1] An event **MUST** have a kind",
            "[EV-1001 r2] An event **MUST** be kind",
        ),
    ),
    Broken(
        name="a requirement that was revised under its older id",
        code="SPEC118",
        at=("checks.py", "4"),
        edit=("specs/service.md", "[SV-1001 r1", "[SV-1001 r2"),
        facts=lambda project: replace(
            project,
            pins=[pin for pin in project.pins if pin.requirement != "SV-1001"]
            + [Pin(id, "SV-1001", 2, Place("pins.toml", 9)) for id in ("CK-03", "CK-05")],
        ),
    ),
    suite("a pin of no check", "SPEC119", ("pins.toml", "9"), pins(*PINS, Pin("CK-99", "EV-1001", 1, PINNED_AT))),
    suite("a pin of no name", "SPEC119", ("pins.toml", "9"), pins(*PINS, Pin("CK-01", "EV-1002", 2, PINNED_AT))),
    suite("marks of a merge in the pins", "SPEC120", ("pins.toml", "8"), unreadable_pins),
]
EXCEPTIONS = [
    excluded("no reason", "SPEC201", '"EV-1003"', 'reason = "looks are no behaviour"\n', ""),
    excluded("a blank reason", "SPEC201", '"EV-1003"', '"looks are no behaviour"', '" "'),
    excluded(
        "an exclusion of nothing",
        "SPEC202",
        '"CK-99"',
        '[[exclusion]]\nid = "CK-02"',
        '[[exclusion]]\nid = "CK-99"\nof = "mutant"\nreason = "x"\n[[exclusion]]\nid = "CK-02"',
    ),
    excluded(
        "an exclusion of no requirement",
        "SPEC202",
        '"EV-9999"',
        '[[exclusion]]\nid = "CK-02"',
        '[[exclusion]]\nid = "EV-9999"\nof = "check"\nreason = "x"\n[[exclusion]]\nid = "CK-02"',
    ),
    suite(
        "a check that is there",
        "SPEC203",
        ("specs/proof.md", '"EV-1003"'),
        checks(replace(FIRST, requirements=("EV-1001", "EV-1003")), SECOND, *OTHERS),
    ),
    suite(
        "a mutant that is there",
        "SPEC203",
        ("specs/proof.md", '"CK-02"'),
        mutants(*MUTANTS, MutantFact(name="is-late", killed_by="CK-02", place=Place("zoo.py", 2))),
    ),
    suite(
        "a test that is there",
        "SPEC203",
        ("specs/proof.md", '"PR-1001"'),
        lambda project: replace(project, tests=[*project.tests, TestFact("PR-1001", "t", Place(TESTS, 1))]),
    ),
    excluded(
        "an exclusion of an execution that is there",
        "SPEC203",
        '"CK-01"',
        '[[exclusion]]\nid = "CK-02"',
        '[[exclusion]]\nid = "CK-01"\nof = "execution"\nreason = "x"\n[[exclusion]]\nid = "CK-02"',
    ),
    excluded("a date that has passed", "SPEC204", '"EV-1003"', "2026-01-31", "2026-01-14"),
    expected("a baseline of what passes", "SPEC205", run=PASSED),
    expected("a baseline of nothing", "SPEC206", ENTRY, ENTRY.replace("CK-01", "CK-99") + ENTRY),
    expected("a baseline without reason", "SPEC207", 'reason = "known"\n'),
    expected("a baseline that has expired", "SPEC208", "01-31", "01-14"),
    expected("a baseline that cannot be read", "SPEC209", "[[expected]]", "[[expectd]]", run=PASSED),
    bad_baseline("a baseline as an array", f"\nexpected = [{{{ROW}}}]\n", "expected ="),
    bad_baseline("a baseline as an array of lines", f"# known\nexpected = [\n  {{{ROW}}},\n]\n", "expected ="),
    bad_baseline("a baseline with an entry twice", f"{ENTRY}\n{ENTRY}", "7", fails=True),
    bad_baseline(
        "a baseline with a column too many", f'{ENTRY}\n [[ expected ]] # more\n{ENTRY[13:]}adpter = "x"\n', "# more"
    ),
    bad_baseline("a baseline with a column too few", f'{ENTRY}\n[[expected]]\ncheck = "x"\n', "7"),
    bad_baseline("a baseline that is no TOML", f"{ENTRY}\nuntil\n", "7"),
    bad_baseline("a baseline with a day that no month has", ENTRY.replace("01-31", "02-31"), "5"),
    bad_baseline("a baseline in another encoding", b"# Caf\xe9\n" + ENTRY.encode(), ""),
]
