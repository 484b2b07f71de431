"""What a change is compared with: revisions, files, and what is said where there is neither."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.gate.base import BaseError, lock_at
from conformance.outcome import Exit
from specs import EMPTY

from .project import edit
from .test_command import gate, git

if TYPE_CHECKING:
    from pathlib import Path

ADVICE = "[EV-1004 r1] An event SHOULD be short"
EXCLUDED = '[[exclusion]]\nid = "PR-1001"'


def commit(folder: Path) -> None:
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "base")


def test_a_change_that_brings_the_documents_is_compared_with_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "specs").rename(project / "later")
    (project / ".gitignore").write_text("later\nspecs\n")
    commit(project)
    (project / "later").rename(project / "specs")
    assert lock_at(project / "specs", "HEAD") == EMPTY
    assert gate("--root", project, "--base", "HEAD") == Exit.CONFORMING
    assert "this change adds 6 MUST and proves 5 of them\n  excluded: PR-1001\n" in capsys.readouterr().out


def test_advice_that_binds_now_is_added(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(project)
    edit(project, "specs/events.md", ADVICE, ADVICE.replace("r1", "r2").replace("SHOULD", "MUST"))
    edit(project, "specs/proof.md", "unproved_advice = 2", "unproved_advice = 1")
    assert gate("--root", project, "--base", "HEAD", "--fix", "--format", "json") == Exit.NOT_CONFORMING
    change = json.loads(capsys.readouterr().out)["change"]
    assert (change["added"], change["added_unproved"], change["loosened"]) == (["EV-1004"], ["EV-1004"], [])
    assert change["revised"] == [
        {"id": "EV-1004", "before": 1, "now": 2, "old": "An event SHOULD be short.", "new": "An event MUST be short."}
    ]


def test_a_base_is_read_as_utf8_with_any_line_ends(project: Path) -> None:
    edit(project, "specs/events.md", "a kind", "a “kind”")
    (project / "specs/specs.lock.json").unlink()
    path = project / "specs/events.md"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    commit(project)
    assert lock_at(project / "specs", "HEAD").by_id()["EV-1001"].text == "An event MUST have a “kind”."


@pytest.mark.req("GATE-1005a")
def test_without_the_revision_it_is_said_why(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BaseError, match="not a git repository"):
        lock_at(project / "specs", "HEAD")
    commit(project)
    commit(edited(project))
    with pytest.raises(BaseError, match=r"main~9 is no file and no revision$"):
        lock_at(project / "specs", "main~9")
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "clone", "--quiet", "--depth", "1", f"file://{project}", "clone")
    with pytest.raises(BaseError, match="this clone is shallow"):
        lock_at(shallow / "clone/specs", "HEAD~1")


def edited(project: Path) -> Path:
    edit(project, "code/app.py", "Tasks.", "Jobs.")
    return project


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"format": 9}'])
def test_a_file_that_is_no_lock_is_told(project: Path, text: bytes) -> None:
    path = project / "base.json"
    path.write_bytes(text)
    with pytest.raises(BaseError, match=r"base\.json cannot be read"):
        lock_at(project / "specs", str(path))


def test_a_lock_of_the_base_that_cannot_be_read_is_told(project: Path) -> None:
    lock = project / "specs/specs.lock.json"
    lock.write_text("<<<<<<<", encoding="utf-8")
    commit(project)
    with pytest.raises(BaseError, match="the lock of HEAD cannot be read"):
        lock_at(project / "specs", "HEAD")
