"""The command: exit codes, forms, the diff mode, and what it says of faults of its own."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from conformance.__main__ import main
from conformance.gate import command
from conformance.gate.codes import CODES
from conformance.outcome import Exit

from .project import SERVICE, edit

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.gate.gathering import Sources

NEW = "- [SV-1003 r1] It MUST be new.\n- [SV-1004 r1] So MUST this.\n- [SV-1001"
MANY = "".join(f"- [SV-2{n:03} r1] It MUST be {n}.\n" for n in range(300))


def gate(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["gate", *map(str, arguments)])
    return int(caught.value.code or 0)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.mark.req("GATE-1005a")
def test_a_project_with_documents_of_its_own_is_judged_by_them(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gate("--root", project) == Exit.CONFORMING
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == "gate: conforms: 0 errors, 0 warnings"
    assert [line.split()[:3] for line in told.splitlines()[1:4]] == [
        ["events", "test", "3"],
        ["service", "test", "3"],
        ["all", "6", "0"],
    ]


@pytest.mark.req("GATE-1005", "GATE-1005a")
def test_a_finding_is_one_line_with_code_place_and_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, "code/app.py", '"tasks_total"', '"late_total"')
    assert gate("--root", project) == Exit.NOT_CONFORMING
    first, second = capsys.readouterr().out.splitlines()[:2]
    assert first == (
        f"SPEC303 error {project}/code/app.py:1 late_total: metric late_total is not in table:metrics"
        " -> add it to the table of metrics, or remove it"
    )
    assert second.startswith(f"SPEC304 error {project}/specs/service.md:19 tasks_total: ")


@pytest.mark.req("GATE-1005a")
def test_as_many_findings_as_an_exit_code_has_values_are_still_findings(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "specs/service.md").write_text(SERVICE.replace("\n```toml", MANY + "\n```toml", 1))
    assert gate("--root", project, "--fix") == Exit.NOT_CONFORMING
    assert len(re.findall("^SPEC102 ", capsys.readouterr().out, re.MULTILINE)) == 300


@pytest.mark.req("GATE-1005b")
def test_documents_that_cannot_be_read_are_one_finding(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "specs/events.md", "**MUST**", "must")
    for form in ("text", "json", "sarif", "github"):
        assert gate("--root", project, "--format", form) == Exit.NOT_CONFORMING
        assert "SPEC003" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "xml"),
        ("--explain", "SPEC999"),
        ("--specs", "nowhere"),
        ("--root", "nowhere"),
        ("--tests", "nowhere"),
        ("--baseline", "nowhere.toml"),
        ("--record", "/nowhere/evidence.json"),
        ("--output", "/nowhere/gate.txt"),
        ("--explain", "SPEC0"),
        ("--evidence", "nowhere.json"),
        ("--base", "no-such-revision"),
        ("--adapter", "nobody"),
    ],
)
@pytest.mark.req("GATE-1005a")
def test_wrong_usage_has_its_own_code(
    project: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    git(project, "init", "--quiet")
    assert gate("--root", project, *arguments) == Exit.USAGE
    assert arguments[1] in capsys.readouterr().err


@pytest.mark.req("GATE-1005a")
def test_a_fault_of_the_gate_is_told_from_those_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_sources: Sources) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "gather", fail)
    assert gate("--root", project) == Exit.KIT_ERROR
    assert "fault of the gate" in capsys.readouterr().err


@pytest.mark.req("GATE-1005")
@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("--explain", code.lower()) == Exit.CONFORMING
    told = capsys.readouterr().out
    assert told.startswith(f"{code} ")
    assert CODES[code].fix in " ".join(told.split())


@pytest.mark.req("GATE-1004b")
def test_fix_writes_the_lock_and_nothing_else(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "specs/events.md", "[EV-1001 r1]", "[EV-1001 r2]")
    before = {path: path.read_bytes() for path in project.rglob("*.*") if path.name != "specs.lock.json"}
    assert gate("--root", project) == Exit.NOT_CONFORMING
    assert "SPEC016" in capsys.readouterr().out
    assert gate("--root", project, "--fix") == Exit.CONFORMING
    assert {path: path.read_bytes() for path in before} == before


def test_output_goes_to_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "gate.sarif"
    assert gate("--root", project, "--format", "sarif", "--output", out) == Exit.CONFORMING
    assert json.loads(out.read_text())["version"] == "2.1.0"
    assert not capsys.readouterr().out


@pytest.mark.req("GATE-1004", "GATE-1004a")
@pytest.mark.parametrize("has_lock", [True, False])
def test_a_pull_request_is_told_what_it_adds_and_what_its_lock_hides(
    project: Path, capsys: pytest.CaptureFixture[str], *, has_lock: bool
) -> None:
    lock = project / "specs/specs.lock.json"
    agreed = lock.read_bytes()
    if not has_lock:
        lock.unlink()
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "base")
    lock.write_bytes(agreed)
    assert gate("--root", project, "--base", "HEAD") == Exit.CONFORMING
    assert "this change adds 0 MUST and proves 0 of them" in capsys.readouterr().out

    edit(project, "specs/service.md", "- [SV-1001", NEW)
    edit(project, "specs/service.md", "[SV-1002 r1] The service **MUST** be", "[SV-1002 r2] It MAY be")
    edit(project, "specs/events.md", "- [EV-1005 r1] An event MAY be dull.\n", "")
    edit(project, "specs/events.md", "a kind", "some kind")
    edit(project, "specs/proof.md", "unproved_advice = 2", "unproved_advice = 1")
    edit(project, "tests/test_it.py", '"SV-1001"', '"SV-1001", "SV-1003"')
    lock.unlink()
    assert gate("--root", project, "--base", "HEAD", "--fix") == Exit.NOT_CONFORMING
    told = capsys.readouterr().out
    assert re.findall(r"^SPEC\d+", told, re.MULTILINE) == ["SPEC010", "SPEC018", "SPEC102"]
    assert "this change adds 2 MUST and proves 1 of them\n  without proof: SV-1004\n" in told
    assert "  binding no more: SV-1002\n  taken out: EV-1005\n" in told
    assert "  revised: SV-1002 r1 to r2\n    - The service MUST be bounded.\n    + It MAY be bounded.\n" in told


def test_a_base_may_be_a_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = project / "base.json"
    base.write_bytes((project / "specs/specs.lock.json").read_bytes())
    edit(project, "specs/events.md", "**MUST** have", "**MUST NOT** have")
    (project / "specs/specs.lock.json").unlink()
    assert gate("--root", project, "--base", base, "--fix") == Exit.NOT_CONFORMING
    assert "SPEC011" in capsys.readouterr().out
    base.write_text("{")
    assert gate("--root", project, "--base", base) == Exit.USAGE
