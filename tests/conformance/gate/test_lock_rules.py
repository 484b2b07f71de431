"""What the gate says of a lock that is behind, and of one that a base has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from conformance.gate.document_rules import locks, since
from specs import Lock, locked

from .project import edit, gathered, write

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.gate.facts import Project


def behind(project: Project) -> list[str]:
    return [each.message for each in locks(project) if each.code_id == "SPEC016"]


@pytest.mark.req("GATE-1004b", "GATE-1005")
def test_a_lock_that_is_behind_says_in_what(tmp_path: Path) -> None:
    write(tmp_path)
    assert behind(gathered(tmp_path)) == []
    edit(tmp_path, "specs/events.md", "[EV-1001 r1]", "[EV-1001 r3]")
    assert behind(gathered(tmp_path)) == ["the lock is older in EV-1001"]
    edit(tmp_path, "specs/events.md", "- [EV-1005 r1] An event MAY be dull.\n", "")
    more = "".join(f"- [SV-1{n}01 r1] It MUST be.\n" for n in range(1, 8))
    edit(tmp_path, "specs/service.md", "- [SV-1001", f"{more}- [SV-1001")
    new = "SV-1101, SV-1201, SV-1301, SV-1401, SV-1501 and 2 more"
    assert behind(gathered(tmp_path)) == [f"the lock is without {new}, still with EV-1005, older in EV-1001"]


@pytest.mark.req("GATE-1004b")
def test_a_lock_that_only_looks_different_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    edit(tmp_path, "specs/specs.lock.json", "  ", "    ")
    assert behind(gathered(tmp_path)) == ["the lock is laid out differently"]


@pytest.mark.req("GATE-1004")
def test_hands_in_the_lock_of_the_base_are_no_fault_of_the_change(tmp_path: Path) -> None:
    project = gathered(write(tmp_path))
    first = locked(project.spec).requirements[0]
    base = Lock(requirements=(msgspec.structs.replace(first, sha256="0" * 64),))
    assert list(since(replace(project, base=base))) == []


@pytest.mark.req("GATE-1004a")
def test_what_the_base_had_is_lost_without_a_lock(tmp_path: Path) -> None:
    project = gathered(write(tmp_path))
    first = locked(project.spec).requirements[0]
    base = Lock(requirements=(msgspec.structs.replace(first, id="EV-0999"),))
    assert [each.about for each in since(replace(project, base=base, lock=None))] == ["EV-0999"]
